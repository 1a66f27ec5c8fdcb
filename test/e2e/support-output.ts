// Everything that the executable printed or answered in this process, kept for the checks at the end of each file.
import { expect } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";

export interface Captured {
  readonly what: string;
  stdout: string;
  stderr: string;
  readonly closed: Promise<void>;
}

const captured: Captured[] = [];
const secrets = new Map<string, string>();

/** From now on nothing that is printed may contain it, as it is or as a URL has it. */
export function keepSecret(name: string, text: string): string {
  secrets.set(name, text);
  return text;
}

export function capture(
  what: string,
  child: { readonly stdout: ReadableStream<Uint8Array>; readonly stderr: ReadableStream<Uint8Array> },
): Captured {
  const output: Captured = {
    what,
    stdout: "",
    stderr: "",
    closed: (async () => {
      await Promise.all([
        read(child.stdout, (text) => {
          output.stdout += text;
        }),
        read(child.stderr, (text) => {
          output.stderr += text;
        }),
      ]);
    })(),
  };
  captured.push(output);
  return output;
}

async function read(stream: ReadableStream<Uint8Array>, keep: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  for await (const chunk of stream) keep(decoder.decode(chunk, { stream: true }));
}

/** Passwords, keys and tokens appear nowhere. Returns the number of outputs looked at. */
export function expectNoSecrets(): number {
  const forms = [...secrets].flatMap(([name, secret]) =>
    [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)].map((form) => ({ name, form })),
  );
  for (const { what, stdout, stderr } of captured) {
    for (const { name, form } of forms) {
      if (stdout.includes(form) || stderr.includes(form))
        throw new Error(`observer ${what} has shown: ${name}`);
    }
  }
  return captured.length;
}

/** For the end of a file: the next one has its own output, and may run in this process. */
export function forgetOutput(): void {
  captured.length = 0;
  secrets.clear();
}

/** Every event that `observer run` may log. Operators build alerts on these names, so a change is a breaking one. */
const EVENTS: ReadonlySet<string> = documentedEvents();

/** The events of the table in docs/operations.md, which a unit test holds to the source. */
function documentedEvents(): Set<string> {
  const page = readFileSync(join(import.meta.dir, "../../docs/operations.md"), "utf8");
  const table = page.slice(page.indexOf("| event | level |"));
  const names = [...table.matchAll(/^\| ((?:`[a-z_]+\.[a-z_]+` ?)+)\|/gm)].flatMap(([, cell]) =>
    cell!.split("`"),
  );
  return new Set(names.filter((name) => name.includes(".")));
}

/** `observer run` writes JSON lines of known events to standard output. Returns the number of lines. */
export function expectJsonLogs(): number {
  let count = 0;
  for (const { what, stdout } of captured) {
    if (what !== "run") continue;
    // A killed process may leave a last line unfinished.
    for (const text of stdout.split("\n").slice(0, -1)) {
      const line = JSON.parse(text) as Record<string, unknown>;
      expect(line).toMatchObject({
        level: expect.stringMatching(/^(debug|info|warn|error)$/),
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
        instance: expect.any(String),
        message: expect.any(String),
      });
      if (!EVENTS.has(String(line.event))) throw new Error(`Not a known event: ${text}`);
      count += 1;
    }
  }
  return count;
}
