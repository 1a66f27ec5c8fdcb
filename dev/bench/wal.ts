// What a database server wrote while something ran: its log, and the updated tuples in it, by table.
import type { Table } from "./table.ts";

export interface Written {
  readonly cycles: number;
  readonly logKilobytes: number;
  /** Of it: whole pages, each logged at its first change after a checkpoint. */
  readonly fullPageKilobytes: number;
  /** Kilobytes of it by table; what touches none, by the kind of record. */
  readonly byTable: Readonly<Record<string, number>>;
  /** Updated tuples by table. */
  readonly updates: Readonly<Record<string, number>>;
  readonly hotUpdates: Readonly<Record<string, number>>;
}

interface Part {
  /** A table, or null for records that touch none: commits, locks, checkpoints. */
  readonly table: string | null;
  readonly kind: string;
  readonly kilobytes: number;
  readonly fullPageKilobytes: number;
  readonly records: number;
}

/**
 * Everything is read from the log itself: the counters of `pg_stat_user_tables` are up to ten seconds late.
 * @param run answers how many cycles there were
 */
export async function measureWrites(table: Table, run: () => Promise<number>): Promise<Written> {
  const { sql } = table;
  // The first change of a page after a checkpoint logs the whole page: all start alike. What is changed while the
  // checkpoint still runs counts already.
  const start = await readPosition(table);
  await sql`checkpoint`;
  const cycles = await run();
  const end = await readPosition(table);
  const [total] = await sql<{ kilobytes: number }[]>`
    select pg_wal_lsn_diff(${end}, ${start})::float8 / 1024 as kilobytes`;
  // A record of several blocks counts for the first one's table; an index for the table that it is of.
  const parts = await sql<Part[]>`
    select coalesce(owner.relname, relation.relname) as table,
           record.resource_manager || ' ' || record.record_type as kind,
           sum(record.record_length)::float8 / 1024 as kilobytes,
           sum(record.fpi_length)::float8 / 1024 as "fullPageKilobytes",
           count(*)::int as records
      from pg_get_wal_records_info(${start}, ${end}) as record
           left join pg_get_wal_block_info(${start}, ${end}, false) as block
             on block.start_lsn = record.start_lsn and block.block_id = 0
           left join pg_class as relation
             on pg_relation_filenode(relation.oid) = block.relfilenode
            and block.reldatabase in (0, (select oid from pg_database where datname = current_database()))
           left join pg_index as index on index.indexrelid = relation.oid
           left join pg_class as owner on owner.oid = index.indrelid
     group by 1, 2`;
  const sumBy = (value: (part: Part) => number): Record<string, number> => {
    const sums: Record<string, number> = {};
    for (const part of parts) {
      const name = part.table ?? part.kind;
      sums[name] = (sums[name] ?? 0) + value(part);
    }
    return sums;
  };
  const isHot = ({ kind }: Part) => /^Heap HOT_UPDATE/.test(kind);
  const isUpdate = (part: Part) => isHot(part) || /^Heap UPDATE/.test(part.kind);
  return {
    cycles,
    logKilobytes: total!.kilobytes,
    fullPageKilobytes: parts.reduce((sum, part) => sum + part.fullPageKilobytes, 0),
    byTable: sumBy(({ kilobytes }) => kilobytes),
    updates: sumBy((part) => (isUpdate(part) ? part.records : 0)),
    hotUpdates: sumBy((part) => (isHot(part) ? part.records : 0)),
  };
}

async function readPosition({ sql }: Table): Promise<string> {
  const [row] = await sql<{ lsn: string }[]>`select pg_current_wal_lsn()::text as lsn`;
  return row!.lsn;
}

/** Where the log comes from, the largest part first: `workspaces 61 %, observer_status 30 %`. */
export function describeParts({ byTable, logKilobytes }: Written): string {
  return Object.entries(byTable)
    .map(([name, kilobytes]) => [name, Math.round((kilobytes / logKilobytes) * 100)] as const)
    .filter(([, percent]) => percent >= 1)
    .toSorted(([, left], [, right]) => right - left)
    .map(([name, percent]) => `${name} ${percent} %`)
    .join(", ");
}
