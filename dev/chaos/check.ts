// Judges every document that was written by the journal of what was really there.
import { ABSENT, clock, containerValue, type Journal, type Kind, PRESENT } from "./journal.ts";

type Json = Readonly<Record<string, unknown>>;

/** One row as it was written once. */
export interface Written {
  readonly seq: number;
  readonly id: string;
  /** Of the role that wrote. */
  readonly role: string;
  /** `application_name`. */
  readonly writer: string;
  readonly conditions: Json;
  readonly observedAt: string | null;
  /** Whether a column changed that isn't the Observer's, or the row itself was inserted or deleted. */
  readonly trespass: boolean;
  /** The database's clock at the write, milliseconds since 1970. */
  readonly atMs: number;
}

export interface Violation {
  readonly promise: string;
  readonly text: string;
}

const SOURCES = { container: "containers", volume: "volumes", archive: "archives" } as const;
const KINDS = ["container", "volume", "archive"] as const;

const stampsOf = (conditions: Json): Readonly<Record<string, string>> =>
  (conditions.observed ?? {}) as Readonly<Record<string, string>>;

/** The value that a document claims, in the journal's words. */
export function claimOf(kind: Kind, condition: unknown): string {
  if (condition === null) return ABSENT;
  const shown = condition as Json;
  if (kind === "container") return containerValue(String(shown.container_id), String(shown.reason));
  return kind === "volume" ? PRESENT : String(shown.archive_key);
}

export class Checker {
  readonly #last = new Map<string, Written>();
  /** What an administrator wrote by hand, until nothing is left of it. */
  readonly #byHand = new Map<string, Json>();
  checked = 0;

  constructor(
    private readonly journal: Journal,
    private readonly role: string,
  ) {}

  last(id: string): Written | undefined {
    return this.#last.get(id);
  }

  take(writes: readonly Written[]): Violation[] {
    return writes.flatMap((write) => {
      const before = this.#last.get(write.id);
      this.#last.set(write.id, write);
      // What an administrator wrote by hand claims nothing, and is no older observation either.
      if (write.role !== this.role) {
        this.#byHand.set(write.id, write.conditions);
        return [];
      }
      this.checked += 1;
      return this.#judge(write, before?.role === this.role ? before : undefined);
    });
  }

  #judge(write: Written, before: Written | undefined): Violation[] {
    const { id, conditions, atMs } = write;
    const found: Violation[] = [];
    const blame = (promise: string, what: string, kinds: readonly Kind[] = [], fromMs = atMs) => {
      const excerpts = kinds.map((kind) => this.journal.excerpt(kind, id, fromMs, atMs));
      found.push({
        promise,
        text: [
          `${what}\n    ${id} written at ${clock(atMs)} by ${write.writer}: ${JSON.stringify(conditions)}`,
          ...(before === undefined
            ? []
            : [
                `    before it, at ${clock(before.atMs)} by ${before.writer}: ${JSON.stringify(before.conditions)}`,
              ]),
          ...excerpts,
        ].join("\n"),
      });
    };
    if (write.trespass) blame("P4", "Another column than the Observer's two was written");

    const stamps = stampsOf(conditions);
    const left = this.#leftByHand(write);
    const oldest = Object.values(stamps).sort()[0] ?? null;
    if (write.observedAt !== null && write.observedAt !== oldest && left.size === 0)
      blame("P2", `observed_at ${write.observedAt} is not the oldest stamp`);
    if (stamps.containers !== stamps.volumes) blame("P5", "Containers and volumes of different observations");

    const fromMs: Partial<Record<Kind, number>> = {};
    for (const kind of KINDS) {
      if (conditions[kind] === undefined || left.has(kind)) continue;
      const stamp = stamps[SOURCES[kind]];
      if (stamp === undefined) {
        blame("P2", `${kind} without a stamp`);
        continue;
      }
      const stampMs = Date.parse(stamp);
      fromMs[kind] = stampMs;
      if (stampMs > atMs + 1) blame("P2", `The stamp of ${kind} lies in the future`);
      const claim = claimOf(kind, conditions[kind]);
      if (this.journal.possible(kind, id, claim, stampMs, atMs).length === 0) {
        const promise = claim === ABSENT ? "P1" : "P2";
        blame(promise, `${kind} was never ${claim} since the stamp ${clock(stampMs)}`, [kind], stampMs);
      }
      this.#judgeOrder(kind, stamp, claim, before, blame);
    }
    if (found.length === 0 && fromMs.container !== undefined && fromMs.volume !== undefined)
      this.#judgePair(write, Math.min(fromMs.container, fromMs.volume), blame);
    return found;
  }

  /**
   * A look that knows a part of the row alone (the Engine's, say) writes that part: what was edited of the other stands
   * there until that source's next look.
   */
  #leftByHand({ id, conditions }: Written): ReadonlySet<Kind> {
    const edited = this.#byHand.get(id);
    if (edited === undefined) return new Set();
    const isLeft = (kind: Kind) =>
      stampsOf(conditions)[SOURCES[kind]] === stampsOf(edited)[SOURCES[kind]] &&
      JSON.stringify(conditions[kind]) === JSON.stringify(edited[kind]);
    const left = new Set(KINDS.filter(isLeft));
    if (left.size === 0) this.#byHand.delete(id);
    return left;
  }

  #judgeOrder(
    kind: Kind,
    stamp: string,
    claim: string,
    before: Written | undefined,
    blame: (promise: string, what: string, kinds: readonly Kind[]) => void,
  ): void {
    const previous = (before?.conditions.observed as Readonly<Record<string, string>> | undefined)?.[
      SOURCES[kind]
    ];
    if (before === undefined || previous === undefined || before.conditions[kind] === undefined) return;
    if (stamp < previous) blame("P3", `The ${kind} of ${stamp} over that of ${previous}`, [kind]);
    if (stamp === previous && claim !== claimOf(kind, before.conditions[kind]))
      blame("P3", `Another ${kind} from the same observation`, [kind]);
  }

  /** Was there an instant at which the container and the volume were both as the document says? */
  #judgePair(
    { id, conditions, atMs }: Written,
    fromMs: number,
    blame: (promise: string, what: string, kinds: readonly Kind[], fromMs: number) => void,
  ): void {
    const states = (kind: "container" | "volume") =>
      this.journal.possible(kind, id, claimOf(kind, conditions[kind]), fromMs, atMs);
    const volumes = states("volume");
    const isTrue = states("container").some((container) =>
      volumes.some(
        (volume) =>
          Math.max(container.fromMs, volume.fromMs, fromMs) <= Math.min(container.toMs, volume.toMs, atMs),
      ),
    );
    if (!isTrue)
      blame("P5", "Container and volume were never both so at one time", ["container", "volume"], fromMs);
  }
}

/**
 * P6: the longest time in the interval in which no row got a newer stamp of that source, milliseconds.
 * @param writes in order, from before the interval on
 */
export function longestSilenceMs(
  writes: readonly Written[],
  source: "containers" | "archives",
  fromMs: number,
  toMs: number,
): number {
  let newest = "";
  let lastMs = fromMs;
  let longestMs = 0;
  for (const { conditions, atMs } of writes) {
    const stamp = (conditions.observed as Readonly<Record<string, string>> | undefined)?.[source] ?? "";
    if (stamp <= newest) continue;
    newest = stamp;
    if (atMs <= fromMs || atMs > toMs) continue;
    longestMs = Math.max(longestMs, atMs - lastMs);
    lastMs = atMs;
  }
  return Math.max(longestMs, toMs - lastMs);
}
