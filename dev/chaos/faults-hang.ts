// Hangs at each of many looks: short deadlines, so that what is lost at each of them adds up to something that is seen.
import type { Fault } from "./fault.ts";
import type { Settings } from "./observer.ts";

/** Looks, or tries, that a fault must have met, or a leak of one descriptor each would not have stood out. */
const LEAST_MET = 12;

const HASTY: Settings = {
  OBSERVER_IDLE_INTERVAL: "300ms",
  OBSERVER_ACTIVE_INTERVAL: "200ms",
};

export const hangFaults: readonly Fault[] = [
  {
    name: "sources-hang-at-each-look",
    what: "Engine and S3 accept and never answer, look after look, each given up after 250 ms",
    promises: ["P1", "P12"],
    felt: ["source.down"],
    unready: true,
    durationMs: 18_000,
    settings: { ...HASTY, OBSERVER_LIST_TIMEOUT: "250ms" },
    async run({ proxies }, context) {
      for (const proxy of [proxies.engine, proxies.s3]) proxy.faults.set("all", { hang: true });
      const before = [proxies.engine.requests, proxies.s3.requests] as const;
      await context.hold();
      const met = [proxies.engine.requests - before[0], proxies.s3.requests - before[1]] as const;
      for (const proxy of [proxies.engine, proxies.s3]) proxy.faults.clear();
      context.note(`${met[0]} calls to the Engine and ${met[1]} to S3 hung`);
      if (Math.min(...met) < LEAST_MET)
        context.violation(
          "the fault",
          `Only ${met.join(" and ")} calls hung, at least ${LEAST_MET} each must`,
        );
    },
  },
  {
    name: "postgres-hangs-at-each-try",
    what: "a proxy before the server accepts and passes nothing, each statement given up after 400 ms",
    promises: ["P3", "P12"],
    felt: ["database.down"],
    unready: true,
    durationMs: 18_000,
    settings: { ...HASTY, OBSERVER_WRITE_TIMEOUT: "400ms" },
    async run({ proxies: { postgres } }, context) {
      postgres.freeze();
      const before = postgres.totalConnections;
      await context.hold();
      const met = postgres.totalConnections - before;
      // Not cut: what was not closed by the one that gave it up has to be there still.
      postgres.thaw();
      context.note(`${met} connections hung`);
      if (met < LEAST_MET)
        context.violation("the fault", `Only ${met} connections hung, at least ${LEAST_MET} must`);
    },
  },
];
