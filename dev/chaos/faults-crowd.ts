// Two hundred workspaces at once, and lists that are late: many chances to put a container of then beside a volume of now.
import { inParallel } from "../services/engine.ts";
import type { Fault } from "./fault.ts";
import { ABSENT } from "./journal.ts";
import { waitRightOf } from "./run.ts";
import type { World } from "./world.ts";

export const CROWD: readonly string[] = Array.from({ length: 200 }, (_, index) => `c${index}`);

const AT_A_TIME = 4;
/** A look takes some three seconds; most of a listing must not vanish meanwhile, or the guard has its say. */
const PAUSE_MS = 200;
const LATE_MS = 3_000;

async function bringUp({ truth, random }: World, id: string): Promise<void> {
  if (truth.journal.current("volume", id) === ABSENT) await truth.createVolume(id);
  await Bun.sleep(5);
  if (truth.container(id) === ABSENT) await truth.createContainer(id);
  // One of ten runs, or two cores would do nothing else.
  if (random() < 0.1) await truth.startContainer(id);
}

async function tearDown({ truth }: World, id: string): Promise<void> {
  if (truth.container(id) !== ABSENT) await truth.removeContainer(id);
  await Bun.sleep(5);
  if (truth.journal.current("volume", id) !== ABSENT) await truth.removeVolume(id);
}

/** Removes every one, and its row before: what vanishes is then nobody's loss. */
async function disperse(world: World): Promise<void> {
  await world.database.sql`delete from workspaces where id in ${world.database.sql([...CROWD])}`;
  await inParallel(CROWD, AT_A_TIME, (id) => tearDown(world, id));
}

export const crowdFaults: readonly Fault[] = [
  {
    name: "engine-lists-late-200",
    what: `${CROWD.length} workspaces more, made and removed all the time, and each list up to ${LATE_MS / 1_000} s late`,
    promises: ["P1", "P2", "P5"],
    durationMs: 20_000,
    settings: { OBSERVER_LIST_TIMEOUT: "10s" },
    async run(world, context) {
      const { database, proxies, random, truth } = world;
      await database.insert(CROWD);
      try {
        await inParallel(CROWD.slice(0, 150), AT_A_TIME, (id) => bringUp(world, id));
        proxies.engine.delays = (route) => {
          if (route !== "containers" && route !== "volumes") return { beforeMs: 0, afterMs: 0 };
          const ms = random() * LATE_MS;
          return random() < 0.5 ? { beforeMs: ms, afterMs: 0 } : { beforeMs: 0, afterMs: ms };
        };
        let isOver = false;
        let deeds = 0;
        const busy = new Set<string>();
        const workers = Array.from({ length: AT_A_TIME }, async () => {
          while (!isOver) {
            const id = CROWD[Math.floor(random() * CROWD.length)]!;
            if (busy.has(id)) continue;
            busy.add(id);
            await (truth.journal.current("volume", id) === ABSENT ? bringUp(world, id) : tearDown(world, id));
            busy.delete(id);
            deeds += 1;
            await Bun.sleep(random() * 2 * PAUSE_MS);
          }
        });
        await context.hold();
        isOver = true;
        await Promise.all(workers);
        proxies.engine.delays = null;
        context.note(`${deeds} of ${CROWD.length} made or removed`);
        await waitRightOf(world, CROWD, new Date().toISOString().replace("Z", "000Z"));
        for (const text of await truth.audit(CROWD)) context.violation("the journal", text);
      } finally {
        proxies.engine.delays = null;
        await disperse(world);
      }
    },
  },
];
