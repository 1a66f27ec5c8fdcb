// The page on rows and views by hand, and eyes that read its markup as a browser would.
import { addMs, formatInstant } from "../../src/observer/instant.ts";
import type { WorkspaceId } from "../../src/observer/names.ts";
import type { WorkspaceRow } from "../../src/observer/ports.ts";
import type { ObserverView, RowsView } from "../../src/observer/view.ts";
import { createStatusApp } from "../../src/status/app.ts";
import { createMetrics } from "../../src/status/metrics.ts";
import { createPage, type PageParts } from "../../src/status/page/page.ts";
import type { Told } from "../../src/status/page/workspace.ts";
import { build, health, leaderView, stamp } from "./status-fixtures.ts";

export const since = formatInstant(addMs(stamp, -180_000));

export const running = {
  running: true,
  reason: "Running",
  message: "running, healthy",
  container_id: "98781810ea4c",
  image: "code:1",
  health: "healthy",
  exit_code: null,
  last_transition_at: since,
};
export const exited = {
  ...running,
  running: false,
  reason: "Exited",
  message: "exited with code 1",
  exit_code: 1,
};

export const row = (id: string, changes: Partial<WorkspaceRow> = {}): WorkspaceRow => ({
  id: id as WorkspaceId,
  operationInFlight: false,
  deleted: false,
  observedAt: stamp,
  conditions: { container: running, volume: null, archive: null },
  ...changes,
});

/** As the mirror holds them: the holders stay, their rows change. */
export class Rows implements RowsView {
  readonly holders = new Map<WorkspaceId, { row: WorkspaceRow }>();
  constructor(rows: Iterable<WorkspaceRow>) {
    for (const one of rows) this.set(one);
  }
  set(one: WorkspaceRow): void {
    const known = this.holders.get(one.id);
    if (known) known.row = one;
    else this.holders.set(one.id, { row: one });
  }
  get size() {
    return this.holders.size;
  }
  get(id: WorkspaceId) {
    return this.holders.get(id);
  }
  values() {
    return this.holders.values();
  }
}

export const told = (changes: Partial<Told> = {}): Told => ({
  found: true,
  operation: "NONE",
  operation_in_flight: false,
  deleted_at: null,
  observed_at: formatInstant(stamp),
  observed_age_ms: 1_500,
  conditions: { container: exited, volume: null },
  observed: { containers: { at: formatInstant(stamp), age_ms: 1_500 } },
  since: { container: { at: since, age_ms: 180_000 } },
  death: null,
  held: [],
  orphan: [],
  transitions: [],
  near: [],
  ...changes,
});

export interface Asked {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export function pageOf(
  parts: Partial<PageParts> & { rows?: () => RowsView | null } = {},
  { token = null, view = leaderView() }: { token?: string | null; view?: ObserverView } = {},
) {
  const current = parts.view ?? (() => view);
  const page = createPage({ view: current, health, build, ...parts });
  const metrics = createMetrics({ view: current, build, health });
  const app = createStatusApp({ view: current, health, build, metrics, page, token });
  /** As a browser asks. */
  const browse = async (path: string, init: RequestInit = {}): Promise<Asked> => {
    const response = await app.request(path, {
      ...init,
      headers: { accept: "text/html,application/xhtml+xml,*/*;q=0.8", ...(init.headers as object) },
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  return { app, page, browse };
}

export interface Seen {
  readonly elements: string[];
  readonly attributes: { readonly element: string; readonly name: string; readonly value: string }[];
  /** Text of every element that the selector names. */
  readonly texts: string[];
}

/** What a parser finds in it. */
export async function look(markup: string, selector = "caption"): Promise<Seen> {
  const seen: Seen = { elements: [], attributes: [], texts: [] };
  await new HTMLRewriter()
    .on("*", {
      element(element) {
        seen.elements.push(element.tagName);
        for (const [name, value] of element.attributes)
          seen.attributes.push({ element: element.tagName, name: name!, value: value! });
      },
    })
    .on(selector, {
      element() {
        seen.texts.push("");
      },
      text({ text }) {
        seen.texts[seen.texts.length - 1] += text;
      },
    })
    .transform(new Response(markup))
    .text();
  return seen;
}
