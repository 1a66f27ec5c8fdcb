/** The page: what it is made of, and what keeps it alive. Its paths are in routes.ts. */
import type { HealthConfig } from "../../observer/health.ts";
import type { CycleReport } from "../../observer/report.ts";
import type { ObserverView, RowsView } from "../../observer/view.ts";
import type { BuildInfo } from "../describe.ts";
import { createHistory, type History } from "../history.ts";
import { type Judgement, judge } from "../judgement.ts";
import { Live, type Sections } from "../live.ts";
import { Roster, type RosterQuery } from "../roster.ts";
import { charts, samplesTable } from "./charts.ts";
import { type Html, html, moment, shown } from "./html.ts";
import { facts, hosts, lately, links, sources } from "./overview.ts";
import { headline, toneOf, verdictItems } from "./verdict.ts";
import type { Told } from "./workspace.ts";
import { filters, noRows, pager, table } from "./workspaces.ts";

export interface PageParts {
  readonly view: () => ObserverView;
  readonly health: HealthConfig;
  readonly build: BuildInfo;
  /** Null: this instance keeps none. */
  readonly rows?: () => RowsView | null;
  /** Asks the database for one workspace; has a deadline of its own. Without, the mirror alone is shown. */
  readonly explain?: (id: string, signal: AbortSignal) => Promise<Told>;
  /** A row whose stamp is older is stale. */
  readonly staleAfterMs?: number;
  readonly onError?: (cause: unknown) => void;
}

export interface Page {
  readonly parts: PageParts;
  readonly history: History;
  readonly live: Live;
  readonly roster: Roster;
  /** Called once after every cycle and glance. */
  onReport(report: CycleReport): void;
  /** The parts of `/` that change. */
  sections(query: RosterQuery): Promise<Sections>;
  close(): void;
}

const STALE_MS = 60_000;

export function createPage(parts: PageParts): Page {
  const { view, health, onError } = parts;
  const history = createHistory(() => performance.now());
  const live = new Live(onError);
  const roster = new Roster({
    rows: parts.rows ?? (() => null),
    view,
    staleAfterMs: parts.staleAfterMs ?? STALE_MS,
  });
  return {
    parts,
    history,
    live,
    roster,
    onReport(report) {
      history.onReport(report);
      live.notify();
    },
    async sections(query) {
      // Everything in it is of one view, taken when the rows have been found.
      const found = await roster.page(query);
      const now = view();
      const wallMs = Date.now();
      const verdict = judge(now, health);
      const samples = history.samples();
      const all: Record<string, Html | string> = {
        title: titleOf(now, verdict.state),
        tone: toneOf(verdict),
        headline: headline(verdict),
        items: verdictItems(verdict, now, wallMs),
        facts: facts(now),
        sources: html`${sources(now)}${hosts(now)}`,
        links: links(now),
        charts: charts(samples),
        samples: samplesTable(samples),
        filters: found === null ? "" : filters(query, found),
        rows: found === null ? noRows(query, now.leader) : table(query, found),
        pager: found === null ? "" : pager(query, found),
        lately: lately(now),
        composed: html`As of ${moment(wallMs)}`,
      };
      return Object.fromEntries(
        await Promise.all(Object.entries(all).map(async ([id, part]) => [id, String(await part)] as const)),
      );
    },
    close() {
      live.close();
      roster.forget();
    },
  };
}

const MARK = { well: "Well", doubtful: "Look", failing: "NOT WELL" } as const;
const titleOf = ({ instance }: ObserverView, state: Judgement["state"]): string =>
  `${MARK[state]} · ${shown(instance, 60)} · Observer`;
