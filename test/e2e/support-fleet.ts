// A fleet, seen from outside: what was done to each of its hosts, and a judge of all that was written. It knows docs/fleet.md,
// the deeds and the two memories that triggers of PostgreSQL keep (of each document, of each sign that a host gave), and none
// of the program's code.

import { claimOf } from "../../dev/chaos/check.ts";
import { ABSENT, clock, Journal, type Kind } from "../../dev/chaos/journal.ts";
import type { Store } from "../../dev/chaos/store.ts";
import { Truth } from "../../dev/chaos/truth.ts";
import type { Docker } from "../../dev/services/docker.ts";
import type { Condition, Platform, Written } from "./support-platform.ts";

/** What a host can't have seen what happened since, or told it: from the moment on that this was done to it. */
interface Silence {
  readonly fromMs: number;
  untilMs: number;
}

export class FleetHost {
  readonly silences: Silence[] = [];
  /** `observer forget host` was begun. */
  forgottenMs = Number.POSITIVE_INFINITY;

  constructor(
    readonly name: string,
    /** What there really was, and when. */
    readonly journal = new Journal(),
  ) {}

  /** To be called when it can't look or tell any more; the result when it is about to be able to again. */
  isSilent(): { ends(): void } {
    const silence: Silence = { fromMs: Date.now() + 1, untilMs: Number.POSITIVE_INFINITY };
    this.silences.push(silence);
    return {
      ends() {
        silence.untilMs = Date.now();
      },
    };
  }
}

export class DockerHost extends FleetHost {
  readonly truth: Truth;

  constructor(
    name: string,
    readonly docker: Docker,
    store: Store,
  ) {
    super(name);
    this.truth = new Truth(this.journal, docker.engine, store);
  }

  /** Volume and container, which runs. */
  async give(id: string): Promise<void> {
    await this.truth.createVolume(id);
    await this.truth.createContainer(id);
    await this.truth.startContainer(id);
  }
  async take(id: string): Promise<void> {
    await this.truth.removeContainer(id);
    await this.truth.removeVolume(id);
  }
}

/** A sign that a host gave in `observer_status`. */
interface Sign {
  /** In one order with the documents. */
  readonly seq: number;
  readonly host: string;
  readonly atMs: number;
  /** When its last look began of which everything was committed; null: there was none yet. */
  readonly completeMs: number | null;
}

const SIGNS = `
  create table signs (
    seq bigint primary key default nextval('written_seq_seq'), host text not null, complete timestamptz,
    at timestamptz not null default clock_timestamp()
  );
  create function note_sign() returns trigger language plpgsql security definer set search_path = public as $$
  begin
    insert into signs (host, complete) values
      (new.status -> 'fleet' ->> 'host', (new.status #>> '{fleet,complete,stamp}')::timestamptz);
    return null;
  end $$;
  create trigger note_sign after insert or update on observer_status for each row
    when (new.status -> 'fleet' ? 'host') execute function note_sign();`;

const KEYS = ["container", "volume"] as const;
type Key = (typeof KEYS)[number];
const SOURCES = { container: "containers", volume: "volumes", archive: "archives" } as const;
/** Longest that a statement takes here, and so that a sign may have come after it was decided that there was none. */
const STATEMENT_MS = 5_000;

export interface FleetOptions {
  readonly hosts: readonly FleetHost[];
  /** The name that an observer's connections have → its host. */
  readonly hostOf: Readonly<Record<string, string>>;
  readonly lostAfterMs: number;
  /** Of what there is in S3. */
  readonly archives: Journal;
}

export class Fleet {
  /** How often the test took a workspace from one host to another. */
  readonly #moves = new Map<string, number>();
  readonly #arrivals: { id: string; host: string; atMs: number }[] = [];

  constructor(
    private readonly platform: Platform,
    private readonly options: FleetOptions,
  ) {}

  async watchSigns(): Promise<void> {
    await this.platform.sql.unsafe(SIGNS);
  }
  /** From now on the table may say that it is on another host than before. */
  moves(id: string): void {
    this.#moves.set(id, (this.#moves.get(id) ?? 0) + 1);
  }
  /** It is all there by now, and no other host's word stands: this host's next look says so. */
  arrived(id: string, host: string): void {
    this.#arrivals.push({ id, host, atMs: Date.now() + 1 });
  }

  /** What is wrong with all that was written, and how much of what there was. */
  async judge(): Promise<Pick<Judgement, "wrong" | "seen">> {
    const writes = await this.platform.written();
    const signs = await this.platform.sql<Sign[]>`
      select seq::int, host, (extract(epoch from at) * 1000)::float8 as "atMs",
             (extract(epoch from complete) * 1000)::float8 as "completeMs" from signs order by seq`;
    const judgement = new Judgement(this.options, signs);
    for (const write of writes) judgement.take(write);
    for (const [id, { container, volume }] of judgement.changes)
      for (const [key, count] of [
        ["container", container],
        ["volume", volume],
      ] as const)
        if (count > (this.#moves.get(id) ?? 0))
          judgement.wrong.push(`${key} of ${id} went from host to host ${count} times: it flaps`);
    for (const { id, host, atMs } of this.#arrivals) {
      const look = signs.find((sign) => sign.host === host && (sign.completeMs ?? 0) >= atMs);
      const told = writes.findLast((write) => write.id === id && write.seq < (look?.seq ?? 0));
      if (look === undefined || told?.conditions.container?.host !== host)
        judgement.wrong.push(
          `${id} is on ${host} since ${clock(atMs)}; after a whole look at ${clock(look?.completeMs ?? 0)} the table has ${JSON.stringify(told?.conditions.container)}`,
        );
    }
    return judgement;
  }
}

class Judgement {
  readonly wrong: string[] = [];
  /** How often the host of a row changed. */
  readonly changes = new Map<string, Record<Key, number>>();
  readonly seen = {
    absentByReporter: 0,
    absentByAll: 0,
    present: 0,
    lost: 0,
    ousted: 0,
    forgotten: 0,
    archives: 0,
  };
  readonly #last = new Map<string, Written>();
  /** Row and key → the host that reported it last. */
  readonly #reporters = new Map<string, unknown>();

  readonly #hosts: ReadonlyMap<string, FleetHost>;

  constructor(
    private readonly options: FleetOptions,
    private readonly signs: readonly Sign[],
  ) {
    this.#hosts = new Map(options.hosts.map((host) => [host.name, host]));
  }

  take(write: Written): void {
    const before = this.#last.get(write.id);
    this.#last.set(write.id, write);
    for (const key of KEYS) if (isTouched(key, write, before)) this.#judge(key, write, before);
    if (isTouched("archive", write, before)) {
      this.seen.archives += 1;
      this.#expectPossible("archive", this.options.archives, write, before);
    }
  }

  #judge(key: Key, write: Written, before: Written | undefined): void {
    const { id, conditions, atMs, writer } = write;
    const [was, is] = [before?.conditions[key], conditions[key]];
    const reporter = this.#hosts.get(String(was?.host));
    if (is === undefined) {
      this.seen.forgotten += 1;
      if (reporter === undefined || reporter.forgottenMs > atMs)
        this.#blame(key, write, before, "what a host reported was taken away, and it was not forgotten");
    } else if (is?.unknown === true) this.#judgeLost(key, is, write, before);
    else if (is !== null) this.#judgePresent(key, is, write, before);
    else if (was) {
      this.seen.absentByReporter += 1;
      if (reporter === undefined || this.options.hostOf[writer] !== was.host)
        this.#blame(key, write, before, "null by one that was not the reporter");
      else this.#expectPossible(key, reporter.journal, write, before);
    } else {
      this.seen.absentByAll += 1;
      const stampMs = stampOf(key, write);
      for (const { name, journal, forgottenMs, silences } of this.#hosts.values()) {
        if (forgottenMs <= atMs) continue;
        this.#expectPossible(key, journal, write, before);
        if (silences.some(({ fromMs, untilMs }) => fromMs < stampMs && atMs < untilMs))
          this.#blame(key, write, before, `null, though ${name} can't have looked since`);
      }
    }
    const host = is?.host;
    if (host === undefined) return;
    const last = this.#reporters.get(`${id} ${key}`) ?? host;
    this.#reporters.set(`${id} ${key}`, host);
    if (last === host) return;
    const changes = this.changes.get(id) ?? { container: 0, volume: 0 };
    changes[key] += 1;
    this.changes.set(id, changes);
  }

  #judgePresent(key: Key, is: Condition, write: Written, before: Written | undefined): void {
    this.seen.present += 1;
    const host = this.#hosts.get(String(is.host));
    if (host === undefined || this.options.hostOf[write.writer] !== is.host)
      this.#blame(key, write, before, "presence, and not in the writer's own name");
    else this.#expectPossible(key, host.journal, write, before);
    const was = before?.conditions[key];
    if (!was || was.unknown === true || was.host === is.host) return;
    this.seen.ousted += 1;
    if (was.running === true && is.running !== true)
      this.#blame(key, write, before, "one that runs was ousted by one that doesn't");
  }

  #judgeLost(key: Key, is: Condition, write: Written, before: Written | undefined): void {
    this.seen.lost += 1;
    const was = before?.conditions[key];
    const values = ({ reason: _, message: __, unknown: ___, last_transition_at: ____, ...rest }: Condition) =>
      JSON.stringify(Object.entries(rest).sort());
    if (!was || values(was) !== values(is) || is.reason !== "HostLost")
      this.#blame(key, write, before, "lost, and not as last proven");
    if (before && stampOf(key, write) !== stampOf(key, before))
      this.#blame(key, write, before, "lost, and with a fresh stamp");
    const signsMs = this.signs.filter(({ host }) => host === is.host).map(({ atMs }) => atMs);
    const wasSilent = [...signsMs, Number.POSITIVE_INFINITY].some((nextMs, n) => {
      const lastMs = signsMs[n - 1] ?? 0;
      return (
        Math.min(nextMs, write.atMs) - lastMs >= this.options.lostAfterMs &&
        nextMs > write.atMs - STATEMENT_MS
      );
    });
    if (!wasSilent) this.#blame(key, write, before, `lost, though it gave signs all the time`);
  }

  /** At some moment since the stamp it was as it is written. */
  #expectPossible(kind: Kind, journal: Journal, write: Written, before: Written | undefined): void {
    const claim = claimOf(kind, write.conditions[kind]);
    const fromMs = stampOf(kind, write);
    if (journal.possible(kind, write.id, claim, fromMs, write.atMs).length > 0) return;
    const excerpt = journal.excerpt(kind, write.id, fromMs, write.atMs);
    const what = claim === ABSENT ? "null, though it was there all the time" : `it was never ${claim}`;
    this.#blame(kind, write, before, `${what}, since ${clock(fromMs)}\n${excerpt}`);
  }

  #blame(kind: Kind, write: Written, before: Written | undefined, what: string): void {
    const { id, atMs, writer } = write;
    const text = (of: Written | undefined) => JSON.stringify([of?.conditions[kind], of?.conditions.observed]);
    this.wrong.push(
      `${kind} of ${id}, at ${clock(atMs)} by ${writer}: ${what}\n  ${text(before)} became\n  ${text(write)}`,
    );
  }
}

const isTouched = (kind: Kind, { conditions }: Written, before: Written | undefined): boolean =>
  JSON.stringify([conditions[kind], conditions.observed?.[SOURCES[kind]]]) !==
  JSON.stringify([before?.conditions[kind], before?.conditions.observed?.[SOURCES[kind]]]);

/** Milliseconds since 1970; without a stamp no time is early enough. */
const stampOf = (kind: Kind, { conditions }: Written): number =>
  Date.parse(conditions.observed?.[SOURCES[kind]] ?? "9999-01-01T00:00:00Z");
