// The executable on a terminal of its own: what it draws, and a Ctrl-C.
import { waitFor } from "../../dev/services/wait.ts";
import { executablePath, type Settings, workFolder } from "./support-executable.ts";

export interface OnTerminal {
  /** Everything that was written to the terminal so far. */
  text(): string;
  shows(pattern: RegExp): Promise<void>;
  type(keys: string): void;
  readonly exited: Promise<number>;
  [Symbol.dispose](): void;
}

export function startOnTerminal(args: readonly string[], settings: Settings, rows = 24): OnTerminal {
  const decoder = new TextDecoder();
  let text = "";
  const child = Bun.spawn([executablePath(), ...args], {
    cwd: workFolder(),
    env: { TERM: "xterm", ...settings },
    terminal: {
      cols: 60,
      rows,
      data: (_, bytes) => {
        text += decoder.decode(bytes, { stream: true });
      },
    },
  });
  return {
    text: () => text,
    shows: async (pattern) => {
      await waitFor(`the terminal to show ${pattern}`, 20_000, () => pattern.test(text), 25);
    },
    type: (keys) => void child.terminal?.write(keys),
    exited: child.exited,
    [Symbol.dispose]() {
      child.kill("SIGKILL");
      child.terminal?.close();
    },
  };
}
