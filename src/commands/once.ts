/** `observer once`: one look, printed. */
import type { Config } from "../config.ts";
import { exitCode } from "../exit-codes.ts";
import type { EngineListing } from "../observer/absence.ts";
import { emptyMemory } from "../observer/believe.ts";
import type { Change } from "../observer/compose.ts";
import { describeContainer, reasonOf } from "../observer/conditions.ts";
import { type CycleParts, runCycle } from "../observer/cycle.ts";
import { withDeadline } from "../observer/deadline.ts";
import { formatInstant } from "../observer/instant.ts";
import { limits } from "../observer/limits.ts";
import type { ArchiveSeen, Lease, Listing, WorkspaceRow } from "../observer/ports.ts";
import type { CycleReport } from "../observer/report.ts";
import type { Source } from "../observer/source.ts";
import { errorText } from "../status/error-text.ts";
import { wire } from "../wire.ts";
import { conditionsDiff } from "./once-diff.ts";
import { bold, columns, green, print, printable, red, silent, yellow } from "./terminal.ts";
import { unitOf } from "./unit.ts";

export interface OnceOptions {
  /** Writes nothing, takes no lease, wakes nobody. */
  readonly dryRun: boolean;
  readonly json: boolean;
  /** Whose Engine to look at, where there are several. */
  readonly host: string | null;
}

export async function once(config: Config, options: OnceOptions, stop: AbortSignal): Promise<number> {
  // Waits for every source: there is no later cycle that could take in a late answer.
  const world = await wire(config, silent, { sourcePatienceMs: limits.archiveListingMs });
  try {
    const { cycle } = unitOf(world, options.host, "look once");
    await withDeadline(
      cycle.clock,
      limits.prepareStatements * config.writeTimeoutMs,
      "Cannot prepare the database",
      options.dryRun ? world.inspect : world.prepare,
      stop,
    );
    const lease = options.dryRun ? null : await takeLease(cycle, config, stop);
    const seen = recording(cycle);
    const memory = emptyMemory();
    const report = await runCycle(seen.parts, memory, {
      lease,
      kind: "look",
      horizonMs: config.cadence.idleIntervalMs,
      stop,
    });
    if (lease !== null) await release(cycle, lease);
    const failures = failuresOf(report, seen.parts);
    await print(
      options.json
        ? `${JSON.stringify(asJson(report, seen, failures, options), null, 2)}\n`
        : asText(report, seen, failures, options),
    );
    return failures.length === 0 ? exitCode.ok : exitCode.failed;
  } finally {
    await world.close();
  }
}

async function takeLease(
  { clock, leadership }: CycleParts,
  config: Config,
  stop: AbortSignal,
): Promise<Lease> {
  const answer = await withDeadline(
    clock,
    config.writeTimeoutMs,
    "Cannot ask for the lease",
    (signal) => leadership.acquire(signal),
    stop,
  );
  if (answer.kind === "held") return answer.lease;
  throw new Error(
    `Cannot write: ${printable(answer.holder)} leads, and there is one writer only. Look at its status, or use --dry-run`,
  );
}

async function release({ clock, leadership }: CycleParts, lease: Lease): Promise<void> {
  await withDeadline(clock, limits.releaseMs, "Cannot hand the lease over", (signal) =>
    leadership.release(lease, signal),
  ).catch(() => {});
}

/** What passed through the ports, kept for printing. */
interface Recording {
  readonly parts: CycleParts;
  engine: EngineListing | null;
  archives: Listing<ArchiveSeen> | null;
}

function recording(parts: CycleParts): Recording {
  const engineSource =
    parts.engineSource &&
    recordTake(parts.engineSource, (value) => {
      seen.engine = value;
    });
  const archiveSource =
    parts.archiveSource &&
    recordTake(parts.archiveSource, (value) => {
      seen.archives = value;
    });
  const seen: Recording = {
    parts: { ...parts, engineSource, archiveSource },
    engine: null,
    archives: null,
  };
  return seen;
}

function recordTake<T>(source: Source<T>, keep: (value: T) => void): Source<T> {
  const take = source.take.bind(source);
  source.take = () => {
    const observation = take();
    if (observation !== null) keep(observation.value);
    return observation;
  };
  return source;
}

const rowsOf = (report: CycleReport): WorkspaceRow[] =>
  [...report.memory.rows.values()].map(({ row }) => row);

function failuresOf(report: CycleReport, parts: CycleParts): string[] {
  const sources = [parts.engineSource, parts.archiveSource].flatMap((source) =>
    source?.health.lastError ? [source.health.lastError] : [],
  );
  const stages = report.failures.map(({ cause }) => errorText(cause));
  const lost = report.leaseLost ? ["The lease has gone to somebody else: not everything was written"] : [];
  return [...stages, ...lost, ...sources];
}

function asJson(report: CycleReport, seen: Recording, failures: readonly string[], options: OnceOptions) {
  return {
    dry_run: options.dryRun,
    observed_at: report.stamp === null ? null : formatInstant(report.stamp),
    failures,
    counts: report.counts,
    workspaces: rowsOf(report).map(({ id, deleted }) => ({
      id,
      deleted,
      ...(seen.engine && {
        container: seen.engine.containers.byWorkspace.get(id) ?? null,
        volume: seen.engine.volumes.byWorkspace.get(id) ?? null,
      }),
      ...(seen.archives && { archive: seen.archives.byWorkspace.get(id) ?? null }),
    })),
    changes: report.changes.map(({ workspaceId, key, from, to }) => ({ workspaceId, key, from, to })),
    held: report.memory.held,
    orphans: orphansOf(report, seen),
  };
}

/** Seen once is enough here: nobody is told but the person who asked. */
function orphansOf(report: CycleReport, seen: Recording) {
  const ids = new Set(rowsOf(report).map(({ id }) => id));
  const without = (listing: Listing<unknown> | undefined | null) =>
    [...(listing?.byWorkspace.keys() ?? [])].filter((id) => !ids.has(id));
  return {
    containers: without(seen.engine?.containers),
    volumes: without(seen.engine?.volumes),
    archives: without(seen.archives),
  };
}

function asText(
  report: CycleReport,
  seen: Recording,
  failures: readonly string[],
  options: OnceOptions,
): string {
  const changes = Map.groupBy(report.changes, ({ workspaceId }) => workspaceId);
  const rows = rowsOf(report).map(({ id }) => [
    printable(id),
    containerCell(seen, id),
    presence(seen.engine?.volumes, id),
    archiveCell(seen, id),
    (changes.get(id) ?? []).map(describeChange).join(", "),
  ]);
  const orphans = Object.entries(orphansOf(report, seen)).flatMap(([kind, ids]) =>
    ids.length === 0 ? [] : [yellow(`${ids.length} ${kind} without a row: ${some(ids)}`)],
  );
  const held = Object.entries(report.memory.held).flatMap(([kind, ids]) =>
    ids.length === 0
      ? []
      : [yellow(`The guard holds back the sudden absence of ${ids.length} ${kind}s: ${some(ids)}`)],
  );
  const verb = options.dryRun ? "would change" : "changed";
  return [
    ...(rows.length === 0
      ? ["No workspaces in the table."]
      : [columns([["WORKSPACE", "CONTAINER", "VOLUME", "ARCHIVE", verb.toUpperCase()], ...rows])]),
    "",
    ...diffText(report),
    ...held,
    ...orphans,
    ...failures.map((failure) => red(printable(failure))),
    bold(
      `${report.counts.rows} workspaces, ${report.counts.changed} ${verb}` +
        `${report.counts.skipped > 0 ? `, ${report.counts.skipped} locked and skipped` : ""}` +
        `${options.dryRun ? "; dry run, nothing was written" : ""}`,
    ),
  ].join("\n");
}

/** Nothing but in a dry run. */
function diffText(report: CycleReport): string[] {
  const blocks = [...report.wouldWrite].flatMap(([id, write]) => {
    const lines = conditionsDiff(report.memory.rows.get(id)?.row.conditions ?? {}, write);
    return lines.length === 0 ? [] : [{ id, lines }];
  });
  const left = blocks.length - limits.changesNamed;
  return [
    ...blocks
      .slice(0, limits.changesNamed)
      .flatMap(({ id, lines }) => [
        bold(printable(id)),
        ...lines.map(({ sign, text }) => (sign === "-" ? red : green)(`${sign} ${text}`)),
        "",
      ]),
    ...(left > 0 ? [`… and ${left} more workspaces`, ""] : []),
  ];
}

const describeChange = ({ key, from, to }: Change): string =>
  green(`${key} ${printable(from.reason)} → ${printable(to.reason)}`);

const some = (ids: readonly string[]): string =>
  ids.slice(0, 10).map(printable).join(", ") + (ids.length > 10 ? ", …" : "");

function containerCell(seen: Recording, id: WorkspaceRow["id"]): string {
  if (seen.engine === null) return "?";
  const container = seen.engine.containers.byWorkspace.get(id);
  if (container === undefined) return "absent";
  const reason = printable(reasonOf(container.state));
  const message = printable(describeContainer(container));
  return message === container.state ? reason : `${reason} (${message})`;
}

const presence = (listing: Listing<unknown> | undefined, id: WorkspaceRow["id"]): string =>
  listing === undefined ? "?" : listing.byWorkspace.has(id) ? "exists" : "absent";

function archiveCell(seen: Recording, id: WorkspaceRow["id"]): string {
  if (seen.parts.archiveSource === null) return "–";
  if (seen.archives === null) return "?";
  const archive = seen.archives.byWorkspace.get(id);
  return archive === undefined ? "absent" : `${archive.uploadedAt} ${archive.sizeBytes} B`;
}
