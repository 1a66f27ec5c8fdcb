/** What the journal reads of a line on standard output: a priority in front, as sd-daemon(3) has it. */
import { fstatSync } from "node:fs";
import type { DestinationStream } from "pino";

/**
 * Does a file descriptor lead to the journal?
 *
 * @param journalStream `$JOURNAL_STREAM`, `device:inode` of what systemd connected. Whoever redirected the output since
 * left the variable as it was, so both are compared.
 */
export function leadsToJournal(journalStream: string | null, fd: number): boolean {
  if (journalStream === null) return false;
  try {
    const { dev, ino } = fstatSync(fd, { bigint: true });
    return journalStream === `${dev}:${ino}`;
  } catch {
    return false;
  }
}

/** Of pino's levels: `<3>` error, `<4>` warning, `<6>` informational, `<7>` debug. */
export function priorityOf(level: number): 3 | 4 | 6 | 7 {
  if (level >= 50) return 3;
  if (level >= 40) return 4;
  return level >= 30 ? 6 : 7;
}

/** pino tells a stream with this property the level of each line before it writes it. */
const METADATA = Symbol.for("pino.metadata");

export function withPriority(destination: DestinationStream): DestinationStream {
  return {
    [METADATA]: true,
    lastLevel: 30,
    write(line: string) {
      destination.write(`<${priorityOf(this.lastLevel)}>${line}`);
    },
  } as DestinationStream & { lastLevel: number };
}
