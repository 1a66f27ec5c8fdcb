// Goal and method: the contract of store.ts on the simulation's fake database. What holds on PostgreSQL
// (store-postgres.test.ts) must hold on it, or the simulation proves nothing.
import { seededRandom } from "../../dev/fakes/random.ts";
import { addMs, formatInstant } from "../../src/observer/instant.ts";
import { Timeline } from "../simulation/clock.ts";
import { FakeDatabase } from "../simulation/database.ts";
import { drawRates, type FaultRates } from "../simulation/faults.ts";
import { Network } from "../simulation/network.ts";
import { deadline } from "./engine-support.ts";
import { storeContract } from "./store.ts";
import { id, type StoreWorld } from "./store-support.ts";

/** Longer than a call without faults takes on its way there and back. */
const CALL_MS = 20;

const noFaults = Object.fromEntries(
  Object.keys(drawRates(() => 0.5)).map((name) => [name, 0]),
) as unknown as FaultRates;

storeContract("the simulated database", async (): Promise<StoreWorld> => {
  const timeline = new Timeline();
  const random = seededRandom(1);
  const watcher = { wrote() {}, saved() {}, loaded() {}, toldClock() {} };
  const database = new FakeDatabase(
    timeline,
    random,
    new Network(timeline, random),
    () => noFaults,
    new Set(),
    watcher,
    () => {},
  );
  const caller = (name: string) => ({
    name,
    state: "running" as const,
    backlog: [],
    wrongEngine: false,
    wrongBucket: false,
  });
  /** Every call is followed by the time that it takes. */
  const driven = <T extends object>(port: T): T =>
    new Proxy(port, {
      get(target, name) {
        const method = Reflect.get(target, name) as (...args: unknown[]) => unknown;
        return (...args: unknown[]) => {
          const answer = method.apply(target, args);
          timeline.advance(CALL_MS);
          return answer;
        };
      },
    });
  const row = (workspace: string) => {
    const found = database.rows.get(id(workspace));
    if (found === undefined) throw new Error(`there is no row ${workspace}`);
    return found;
  };
  return {
    store: driven(database.store(caller("store"))),
    leadership: (holder, scope) => driven(database.leadership(caller(holder), scope)),
    fleet: {
      store: (archivesConfigured, instance = "observer-1") =>
        driven(database.store(caller(instance), { archivesConfigured })),
      read: () => driven({ read: () => database.readFleet(caller("reader"), deadline()) }).read(),
      async forget(host) {
        database.forgetHost(host);
      },
    },
    async add(...rows) {
      for (const { id: workspace, operation = "NONE", deleted = false, conditions = {} } of rows) {
        database.rows.set(id(workspace), {
          operation,
          deleted,
          conditions,
          observedAt: null,
          locks: 0,
          editedMs: 0,
        });
      }
    },
    async edit(workspace, changes) {
      Object.assign(row(workspace), changes);
    },
    async remove(workspace) {
      database.rows.delete(id(workspace));
    },
    async stored(workspace) {
      const found = database.rows.get(id(workspace));
      return found && { conditions: found.conditions, observedAt: found.observedAt };
    },
    async lock(workspace) {
      row(workspace).locks += 1;
      return async () => {
        row(workspace).locks -= 1;
      };
    },
    async leaseEndsInMs(ms) {
      database.lease!.expiresAt = addMs(database.now(), ms);
    },
    async leaseLeftMs() {
      return (database.lease!.expiresAt - database.now()) / 1000;
    },
    transitions: async () =>
      database.transitions.map(({ id: workspace_id, instance, transition }) => ({
        at: formatInstant(transition.at),
        workspace_id,
        condition: transition.key,
        from_reason: transition.from.reason,
        to_reason: transition.to.reason,
        message: transition.to.message,
        details: transition.details,
        instance,
      })),
    async close() {},
  };
});
