// One process, several Engines. Goal: what is said of the process says it of the host that it is about, and only where
// there are several; an Engine that fails is no hang, and a loop that hangs is one. Method: views of units, put together.
import { describe, expect, test } from "bun:test";
import { isLive, isReady } from "../../src/observer/health.ts";
import type { WorkspaceId } from "../../src/observer/names.ts";
import type { ObserverView } from "../../src/observer/view.ts";
import { describeView } from "../../src/status/describe.ts";
import { fleetViewOf } from "../../src/status/fleet-view.ts";
import { judge } from "../../src/status/judgement.ts";
import { createMetrics } from "../../src/status/metrics.ts";
import { spanOf } from "../../src/status/otlp-spans.ts";
import { rowsOfAll } from "../../src/status/rows-of-all.ts";
import { statusLine } from "../../src/status/status-line.ts";
import { hasStarted } from "../../src/status/supervisor.ts";
import { parseExposition, sampleValue } from "./status-exposition.ts";
import {
  build,
  health,
  leaderView,
  linkDown,
  nowMs,
  report,
  source,
  standbyView,
} from "./status-fixtures.ts";
import { look, pageOf, Rows, row } from "./status-page-fixtures.ts";

type Changes = Partial<ObserverView>;
const hostView = (host: string, changes: Changes = {}) => ({
  host,
  view: leaderView({
    instance: `p/${host}`,
    leader: `p/${host}`,
    sources: { engine: source(), archives: null },
    rivals: new Map(),
    ...changes,
  }),
});
const tableView = (changes: Changes = {}) =>
  leaderView({ instance: "p", leader: "p", sources: { engine: null, archives: source() }, ...changes });
const processView = (one: Changes = {}, two: Changes = {}, table: Changes = {}) =>
  fleetViewOf([hostView("vm-1", one), hostView("vm-2", two)], tableView(table), {
    instance: "p",
    lostAfterMs: 60_000,
    reading: null,
  });

const failing: Changes = {
  sources: {
    engine: source({
      lastSuccessMs: nowMs - 900_000,
      lastError: "Cannot list: timed out",
      consecutiveFailures: 9,
    }),
    archives: null,
  },
};
const hanging: Changes = { progressMs: nowMs - 900_000 };
const LABELLED = { host: "vm-2" };

describe("health", () => {
  test("all well", () => {
    const view = processView();
    expect([isLive(view, health).ok, isReady(view, health).ok]).toEqual([true, true]);
    expect(judge(view, health)).toMatchObject({ state: "well", headline: "All well." });
    expect(view).toMatchObject({ instance: "p", role: "leader", fleet: { host: null } });
  });

  test("P6: an Engine that fails makes it not ready, by name, and is no reason to restart", () => {
    const view = processView({}, failing);
    expect(isLive(view, health)).toEqual({ ok: true, reasons: [] });
    const reasons = ["vm-2: engine was last observed 900.0 s ago: Cannot list: timed out"];
    expect(isReady(view, health)).toEqual({ ok: false, reasons });
    expect(judge(view, health)).toMatchObject({
      headline: "Not well: vm-2: the Engine cannot be observed.",
      items: [{ what: "vm-2: the Engine cannot be observed" }],
    });
    expect(statusLine(view, health)).toBe(
      `leading for 2 of 2 hosts, idle: 100 workspaces, as of 2026-11-23T20:02:34Z; ${reasons[0]}`,
    );
  });

  test("a loop that hangs is a hang of the process, whichever it is", () => {
    for (const view of [processView(hanging), processView({}, hanging), processView({}, {}, hanging)])
      expect(isLive(view, health).ok).toBe(false);
    expect(isLive(processView(hanging), health).reasons).toEqual([
      "vm-1: no cycle and no stand-by check was completed for 900.0 s",
    ]);
  });

  test("what all share is told once, though any of them noticed it", () => {
    const links = { ...leaderView().links, database: linkDown("refused"), transitions: linkDown("no room") };
    const view = processView({ links }, { links });
    expect(isReady(view, health).reasons).toEqual(["database: refused"]);
    const { items } = judge(view, health);
    expect(items.filter(({ detail }) => detail === "no room")).toMatchObject([
      { what: "the history of changes cannot be kept" },
    ]);
  });

  test("another Engine is accepted for the host that it is of", () => {
    const foreign = {
      engine: { known: "Engine a", seen: "Engine b" },
      archives: null,
    } as ObserverView["foreign"];
    const [item] = judge(processView({}, { foreign }), health).items;
    expect(item?.advice).toContain("`observer accept engine --host vm-2`");
    expect(item?.detail).toContain("run observer accept engine --host vm-2");
  });

  test("one host at work is a start, however long the other takes", () => {
    const never: Changes = { role: "starting", lastCommitMs: null };
    expect(hasStarted(processView({}, never))).toBe(true);
    expect(hasStarted(processView(never, never))).toBe(false);
    expect(hasStarted(processView(standbyView(), standbyView(), never))).toBe(true);
  });
});

describe("role", () => {
  test("it leads where it leads for any host, and stands by where it does so for all", () => {
    const standby = standbyView({ leader: "q/vm-1" });
    expect(processView(standby)).toMatchObject({ role: "leader" });
    expect(statusLine(processView(standby), health)).toStartWith("leading for 1 of 2 hosts");
    const all = processView(standby, standby, standby);
    expect(all).toMatchObject({ role: "standby", leader: "q/vm-1", sources: { archives: null } });
    expect(judge(all, health).headline).toBe("All well. This instance stands by; q/vm-1 leads.");
  });
});

describe("/status", () => {
  const told = (view: ObserverView) => JSON.parse(JSON.stringify(describeView(view, build, health)));

  test("has each Engine by its host", () => {
    const { engines, fleet, sources, totals } = told(processView({}, failing));
    expect(Object.keys(engines)).toEqual(["vm-1", "vm-2"]);
    expect(engines["vm-2"]).toMatchObject({
      role: "leader",
      epoch: "17",
      source: { consecutive_failures: 9 },
    });
    expect(sources).toMatchObject({ engine: null, archives: { consecutive_failures: 0 } });
    // By that key the row would be a host's sign.
    expect(fleet).not.toHaveProperty("host");
    // Both units and the table's; of hints all hear the same.
    expect([totals.looks, totals.hints]).toEqual([900, 40]);
  });

  test("with one Engine is what it was", () => {
    const one = fleetViewOf([hostView("vm-1", { instance: "p" })], tableView(), {
      instance: "p",
      lostAfterMs: 60_000,
      reading: null,
    });
    expect(told(one)).not.toHaveProperty("engines");
    expect(told(one)).toMatchObject({ fleet: { host: "vm-1" }, sources: { engine: { successes: 30 } } });
  });
});

describe("metrics", () => {
  const metricsOf = async (view: ObserverView) => {
    const metrics = createMetrics({
      view: () => view,
      build,
      health,
      isMember: true,
      hosts: ["vm-1", "vm-2"],
    });
    metrics.onReport(report({ sources: ["engine"], contested: ["w1" as WorkspaceId] }), "vm-2");
    return metrics.text();
  };

  test("what is of an Engine has its host, and what is of the process has none", async () => {
    const text = await metricsOf(processView({}, failing));
    const value = (name: string, labels: Record<string, string> = {}) => sampleValue(text, name, labels);
    expect(value("observer_source_up", { source: "engine", host: "vm-1" })).toBe(1);
    expect(value("observer_source_up", { source: "engine", ...LABELLED })).toBe(0);
    expect(value("observer_source_up", { source: "archives" })).toBe(1);
    expect(value("observer_is_leader", LABELLED)).toBe(1);
    expect(value("observer_is_leader")).toBeUndefined();
    expect(value("observer_contested_workspaces", LABELLED)).toBe(1);
    expect(value("observer_contested_workspaces", { host: "vm-1" })).toBeUndefined();
    expect(value("observer_host_contested_workspaces", LABELLED)).toBe(0);
    expect(value("observer_cycle_duration_seconds_count", { kind: "look", ...LABELLED })).toBe(1);
    expect(value("observer_cycle_duration_seconds_count", { kind: "look", host: "vm-1" })).toBe(0);
    expect([value("observer_ready"), value("observer_live")]).toEqual([0, 1]);
    expect(value("observer_link_up", { link: "database" })).toBe(1);
    expect(value("observer_link_up", { link: "events", ...LABELLED })).toBe(1);
    expect(value("observer_link_up", { link: "transitions" })).toBe(1);
    for (const link of ["database", "transitions"])
      expect(value("observer_link_up", { link, ...LABELLED })).toBeUndefined();
  });

  test("no series stands there twice, and no host but those of the settings", async () => {
    for (const { samples } of parseExposition(await metricsOf(processView())).values()) {
      const names = samples.map(({ name, labels }) => name + JSON.stringify(labels));
      expect(new Set(names).size).toBe(names.length);
      for (const { labels } of samples) expect(["vm-1", "vm-2", undefined]).toContain(labels.host);
    }
  });

  test("a span says whose look it was, where there are several", () => {
    const hostOf = (host: string | null) =>
      spanOf(report(), 1, host).attributes.find(({ key }) => key === "observer.host")?.value;
    expect(hostOf("vm-2")).toEqual({ stringValue: "vm-2" });
    expect(hostOf(null)).toBeUndefined();
  });
});

test("The rows of several hosts are one list, in which what two of them keep stands once", () => {
  const kept = [new Rows([row("a"), row("both")]), null, new Rows([row("b"), row("both")])];
  const all = rowsOfAll(kept.map((rows) => ({ rows: () => rows })));
  expect([...all.values()].map((one) => one.row.id as string)).toEqual(["a", "both", "b"]);
  expect(all.size).toBe(3);
  expect(all.get("b" as WorkspaceId)).toBe(kept[2]!.get("b" as WorkspaceId)!);
  expect(all.get("both" as WorkspaceId)).toBe(kept[0]!.get("both" as WorkspaceId)!);
  expect(rowsOfAll([{ rows: () => kept[0]! }]).size).toBe(2);
});

test("The page shows each Engine and its events, and what failed of any", async () => {
  const events = { ...leaderView().links, events: linkDown("reset") };
  const { browse } = pageOf({}, { view: processView({}, { ...failing, links: events }) });
  const { text } = await browse("/");
  const names = (await look(text, "th[scope=row]")).texts;
  expect(names.slice(0, 3)).toEqual(["Engine of vm-1", "Engine of vm-2", "Archives"]);
  for (const name of ["Engine events of vm-1", "Engine events of vm-2"]) expect(names).toContain(name);
  expect((await look(text, "dd")).texts).toContain("2 of 2 hosts");
  expect(text).toContain("vm-2: the Engine cannot be observed");
});
