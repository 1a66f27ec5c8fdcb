// Faults of the Docker Engine and of the way to it.
import type { Fault as AnswerFault } from "../fakes/faults.ts";
import { inParallel } from "../services/engine.ts";
import { waitFor } from "../services/wait.ts";
import { IDS, STEADY } from "./churn.ts";
import type { Context, Fault } from "./fault.ts";
import { ABSENT } from "./journal.ts";
import type { EngineRoute, World } from "./world.ts";

type Route = EngineRoute | "all";

/** A sudden emptiness has to last that long before it is believed. */
const CONFIRM_MS = 10_000;

/** An answer that goes wrong each time that the route is asked. */
const answering =
  (route: Route, fault: AnswerFault | ((world: World) => AnswerFault)): Fault["run"] =>
  async (world, context) => {
    world.proxies.engine.faults.set(route, typeof fault === "function" ? fault(world) : fault);
    await context.hold();
    world.proxies.engine.faults.clear();
  };

/** Another each time: cut somewhere. */
const truncating =
  (route: EngineRoute): Fault["run"] =>
  async ({ proxies, random }, context) => {
    const timer = setInterval(
      () => proxies.engine.faults.set(route, { truncateAfterBytes: Math.floor(random() * 3_000) }),
      50,
    );
    await context.hold();
    clearInterval(timer);
    proxies.engine.faults.clear();
  };

/** Other than by proxy: the containers' truth has to be looked up afterwards. */
async function withDeadEngine(world: World, context: Context, mode: "crash" | "graceful"): Promise<void> {
  const sinceMs = Date.now();
  if (mode === "crash") {
    world.docker.kill("SIGKILL");
    await context.hold();
    await world.docker.restart({ mode });
  } else {
    const restarted = world.docker.restart({ mode });
    await context.hold();
    await restarted;
  }
  await world.churn.rested();
  await world.truth.lookUpContainers(IDS, sinceMs);
}

const BREAKS = {
  promises: ["P1", "P6", "P12"],
  goesOn: ["archives"],
  felt: ["source.down"],
  unready: true,
} as const;
/** Some answers are shorter than where they would be cut, and are complete. */
const MOSTLY_BREAKS = { ...BREAKS, unready: false } as const;

export const engineFaults: readonly Fault[] = [
  {
    name: "engine-stopped",
    what: "dockerd SIGSTOP: accepts, never answers",
    ...BREAKS,
    async run({ docker }, context) {
      docker.kill("SIGSTOP");
      await context.hold();
      docker.kill("SIGCONT");
    },
  },
  {
    name: "engine-killed",
    what: "dockerd kill -9, 5 s later started again; its containers end with it",
    ...BREAKS,
    durationMs: 5_000,
    run: (world, context) => withDeadEngine(world, context, "crash"),
  },
  {
    name: "engine-restarted",
    what: "dockerd restarted in order",
    promises: ["P1", "P6", "P9"],
    goesOn: ["archives"],
    durationMs: 3_000,
    run: (world, context) => withDeadEngine(world, context, "graceful"),
  },
  {
    name: "engine-socket-removed",
    what: "the socket's file is gone",
    ...BREAKS,
    async run({ proxies }, context) {
      await proxies.engine.refuse();
      await context.hold();
      await proxies.engine.accept();
    },
  },
  {
    name: "engine-silent-listener",
    what: "another process listens on the socket and never says a word",
    ...BREAKS,
    async run({ proxies }, context) {
      await proxies.engine.beSilent();
      await context.hold();
      await proxies.engine.accept();
    },
  },
  {
    name: "engine-replaced",
    what: "another Engine, an empty one, behind the socket for 7 s",
    promises: ["P1", "P7"],
    durationMs: 7_000,
    churn: false,
    felt: ["guard.holding"],
    async run({ proxies, emptyEngine }, context) {
      proxies.engine.target = { path: emptyEngine.dockerHost.slice("unix://".length) };
      proxies.engine.cutAll();
      await context.hold();
      proxies.engine.target = { path: "" };
      await proxies.engine.heal();
      proxies.engine.cutAll();
    },
  },
  {
    name: "engine-emptied",
    what: "all containers are really removed at once: held back, then believed",
    promises: ["P7", "P9"],
    churn: false,
    durationMs: 1_000,
    felt: ["guard.holding", "guard.released"],
    async run({ truth, proxies, database }, context) {
      const removed = IDS.filter((id) => truth.container(id) !== ABSENT);
      // At once is to say: between two looks.
      proxies.engine.faults.set("all", { reset: true });
      await inParallel(removed, 4, (id) => truth.removeContainer(id));
      const goneMs = Date.now();
      proxies.engine.faults.clear();
      await context.hold();
      const { atMs } = await waitFor("the first absence in the table", 60_000, async () => {
        const writes = await database.written(0);
        return writes.find(
          ({ id, conditions, atMs }) =>
            atMs > goneMs && removed.includes(id) && conditions.container === null,
        );
      });
      context.note(`believed after ${((atMs - goneMs) / 1000).toFixed(1)} s`);
      if (atMs - goneMs < CONFIRM_MS) context.violation("P7", `It was believed after ${atMs - goneMs} ms`);
    },
  },
  {
    name: "engine-lists-late",
    what: "each list is asked for 0 to 3 s late, or answered 0 to 3 s late",
    promises: ["P2", "P5"],
    durationMs: 12_000,
    settings: { OBSERVER_LIST_TIMEOUT: "10s" },
    async run({ proxies, random }, context) {
      proxies.engine.delays = (route) => {
        if (route !== "containers" && route !== "volumes") return { beforeMs: 0, afterMs: 0 };
        const ms = random() * 3_000;
        return random() < 0.5 ? { beforeMs: ms, afterMs: 0 } : { beforeMs: 0, afterMs: ms };
      };
      await context.hold();
      proxies.engine.delays = null;
    },
  },
  {
    name: "engine-containers-truncated",
    what: "the container list is cut off after a random byte",
    ...MOSTLY_BREAKS,
    run: truncating("containers"),
  },
  {
    name: "engine-volumes-truncated",
    what: "the volume list is cut off after a random byte",
    ...MOSTLY_BREAKS,
    run: truncating("volumes"),
  },
  {
    name: "engine-drips",
    what: "the container list comes at one byte per second",
    ...BREAKS,
    run: answering("containers", { dripIntervalMs: 1_000 }),
  },
  {
    name: "engine-500",
    what: "every call is answered with 500",
    ...BREAKS,
    run: answering("all", { status: 500, body: '{"message":"driver failed"}' }),
  },
  {
    name: "engine-empty-body",
    what: "the container list is 200 with no body",
    ...BREAKS,
    run: answering("containers", { body: "" }),
  },
  {
    name: "engine-html",
    what: "the volume list is 200 with a page of HTML",
    ...BREAKS,
    run: answering("volumes", { body: "<html><body>Sign in</body></html>" }),
  },
  {
    name: "engine-null",
    what: "the container list is 200 with null",
    ...BREAKS,
    run: answering("containers", { body: "null" }),
  },
  {
    name: "engine-volume-warnings",
    what: "the volume list is empty, and warns that a driver did not answer",
    ...BREAKS,
    run: answering("volumes", { body: '{"Volumes":[],"Warnings":["driver nfs: timeout"]}' }),
  },
  {
    name: "engine-resets",
    what: "every connection is closed before the first byte",
    ...BREAKS,
    run: answering("all", { reset: true }),
  },
  {
    name: "engine-events-cut",
    what: "the event stream is cut every 2 s",
    promises: ["P8", "P9"],
    felt: ["events.down"],
    goesOn: ["containers", "archives"],
    durationMs: 8_000,
    async run({ proxies }, context) {
      const timer = setInterval(() => proxies.engine.cutStreams(), 2_000);
      await context.hold();
      clearInterval(timer);
    },
  },
  {
    name: "engine-events-lost",
    what: "the event stream stays open and says nothing",
    promises: ["P9"],
    goesOn: ["containers", "archives"],
    async run({ proxies }, context) {
      proxies.engine.mute = true;
      await context.hold();
    },
  },
  {
    name: "engine-event-storm",
    what: "two containers start and end as fast as the Engine can, on top of all else",
    promises: ["P8", "P10", "P12"],
    goesOn: ["containers", "archives"],
    churn: false,
    async run({ truth }, context) {
      let isOver = false;
      const storm = STEADY.slice(0, 2).map(async (id) => {
        while (!isOver) await (truth.isRunning(id) ? truth.killContainer(id) : truth.startContainer(id));
      });
      await context.hold();
      isOver = true;
      await Promise.all(storm);
    },
  },
];
