// From an Engine's event on one host to the commit, by the database's own record of it.
import type postgres from "postgres";
import { calibratedClock } from "../bench/wall-clock.ts";
import type { Random } from "../fakes/random.ts";
import type { Host } from "./host.ts";
import type { RemoteHost } from "./remote-host.ts";

const MOST_MS = 30_000;

/** A change that its host says it has written. */
export interface Written {
  readonly changedMs: number;
  /** Which state the container has since. */
  readonly state: string;
}

/** Changes a workspace, and waits until its host says that it has written it. */
export async function changeUntilWritten(host: Host, id: string): Promise<Written> {
  const nowMs = calibratedClock();
  const { promise: reported, resolve, reject } = Promise.withResolvers<void>();
  const before = host.onReport;
  const timer = setTimeout(() => reject(new Error(`${host.name} wrote nothing for ${MOST_MS} ms`)), MOST_MS);
  host.onReport = (report) => {
    before(report);
    if (report.changes.some(({ workspaceId }) => workspaceId === id)) resolve();
  };
  try {
    const changedMs = nowMs();
    const { state } = host.change(id);
    await reported;
    return { changedMs, state };
  } finally {
    clearTimeout(timer);
    host.onReport = before;
  }
}

/** @returns milliseconds from the change of a workspace to the commit of it */
export async function changeToCommit(sql: postgres.Sql, host: RemoteHost, random: Random): Promise<number> {
  const id = host.ids[Math.floor(random() * host.ids.length)]!;
  const { changedMs, state } = await host.changeUntilWritten(id);
  const [row] = await sql<{ committedMs: number; reason: string }[]>`
    select extract(epoch from pg_xact_commit_timestamp(xmin))::float8 * 1000 as "committedMs",
           conditions -> 'container' ->> 'reason' as reason
      from workspaces where id = ${id}`;
  if (row?.reason.toLowerCase() !== state)
    throw new Error(`Cannot measure: ${id} is ${state}, and its row says ${row?.reason}`);
  return row.committedMs - changedMs;
}
