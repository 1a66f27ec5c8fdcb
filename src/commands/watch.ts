/** Prints a text again and again: redrawn in place on a terminal, one block after the other elsewhere. */
import { writeSync } from "node:fs";
import { systemClock } from "../adapters/clock.ts";
import { print } from "./terminal.ts";

const HIDE_CURSOR = "\u001b[?25l";
const SHOW_CURSOR = "\u001b[?25h";
/** A line that is too long is cut by the terminal: wrapped, it would push the rest off the screen. */
const NO_WRAP = "\u001b[?7l";
const WRAP = "\u001b[?7h";
const CLEAR = "\u001b[2J";
const HOME = "\u001b[H";
const CLEAR_LINE = "\u001b[K";
const CLEAR_BELOW = "\u001b[J";

/**
 * Returns when the signal fires, or when nobody reads any more; a reader that is slow gets fewer blocks.
 *
 * @param block lines without their ends, of which the last one is the most telling
 */
export async function watch(
  everyMs: number,
  stop: AbortSignal,
  block: () => Promise<readonly string[]>,
): Promise<void> {
  const isTerminal = process.stdout.isTTY === true;
  const gone = new AbortController();
  const onError = () => gone.abort();
  // Whatever ends the process: a shell without a cursor is a nuisance.
  const restore = () => writeSync(1, SHOW_CURSOR + WRAP);
  process.stdout.on("error", onError);
  const ended = AbortSignal.any([stop, gone.signal]);
  if (isTerminal) {
    process.on("exit", restore);
    await print(HIDE_CURSOR + NO_WRAP + CLEAR + HOME);
  }
  try {
    while (!ended.aborted) {
      const lines = await block();
      if (ended.aborted) break;
      await print(isTerminal ? frame(lines, process.stdout.rows || 24) : `${lines.join("\n")}\n`);
      await systemClock.sleep(everyMs, ended);
    }
  } finally {
    process.stdout.off("error", onError);
    if (isTerminal) {
      process.off("exit", restore);
      restore();
    }
  }
}

/** No more lines than the screen has, and the last one is always among them. */
export function frame(lines: readonly string[], rows: number): string {
  const room = Math.max(2, rows - 1);
  const left = lines.length - room + 1;
  const shown =
    lines.length <= room ? lines : [...lines.slice(0, room - 2), `… ${left} more lines`, ...lines.slice(-1)];
  return `${HOME}${shown.map((line) => `${line}${CLEAR_LINE}\n`).join("")}${CLEAR_BELOW}`;
}
