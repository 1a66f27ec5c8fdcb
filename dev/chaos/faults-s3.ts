// Faults of the archive store and of the way to it.
import type { Fault as AnswerFault } from "../fakes/faults.ts";
import type { Fault } from "./fault.ts";
import { EMPTY_BUCKET } from "./world.ts";

const answering =
  (fault: AnswerFault): Fault["run"] =>
  async ({ proxies }, context) => {
    proxies.s3.faults.set("list", fault);
    await context.hold();
    proxies.s3.faults.clear();
  };

/** A complete and valid page with nothing on it. */
const emptied = (page: string) =>
  page.replace(/<Contents>[\s\S]*<\/Contents>/, "").replace(/<KeyCount>\d+</, "<KeyCount>0<");

const BREAKS = {
  promises: ["P1", "P6", "P12"],
  goesOn: ["containers"],
  felt: ["source.down"],
  unready: true,
} as const;

export const s3Faults: readonly Fault[] = [
  {
    name: "s3-stopped",
    what: "the gateway SIGSTOP: accepts, never answers",
    ...BREAKS,
    async run({ s3 }, context) {
      s3.killGateway("SIGSTOP");
      await context.hold();
      s3.killGateway("SIGCONT");
    },
  },
  {
    name: "s3-killed",
    what: "the gateway kill -9, 5 s later started again",
    ...BREAKS,
    durationMs: 5_000,
    async run({ s3 }, context) {
      s3.killGateway("SIGKILL");
      await context.hold();
      await s3.restartGateway();
    },
  },
  {
    name: "s3-503",
    what: "every page is answered with 503 SlowDown",
    ...BREAKS,
    run: answering({ status: 503, body: "<Error><Code>SlowDown</Code></Error>" }),
  },
  { name: "s3-page-hangs", what: "a page is never answered", ...BREAKS, run: answering({ hang: true }) },
  {
    name: "s3-wrong-credentials",
    what: "the gateway refuses the signature",
    ...BREAKS,
    async run({ proxies }, context) {
      proxies.s3.rewriteHeaders = (headers) => {
        headers.authorization =
          headers.authorization?.replace(/.$/, (digit) => (digit === "0" ? "1" : "0")) ?? "";
      };
      await context.hold();
      proxies.s3.rewriteHeaders = null;
    },
  },
  {
    name: "s3-truncated",
    what: "the page is cut off in its middle",
    ...BREAKS,
    run: answering({ truncateAfterBytes: 900 }),
  },
  {
    name: "s3-half-page",
    what: "the page ends early, with a valid end and the old count",
    ...BREAKS,
    run: answering({ rewrite: (page) => page.replace(/<Contents>[\s\S]*?<\/Contents>/, "") }),
  },
  { name: "s3-empty-body", what: "the page is 200 with no body", ...BREAKS, run: answering({ body: "" }) },
  {
    name: "s3-html",
    what: "the page is 200 with a page of HTML",
    ...BREAKS,
    run: answering({ body: "<html><body>Sign in</body></html>" }),
  },
  {
    name: "s3-drips",
    what: "the page comes at one byte per second",
    ...BREAKS,
    run: answering({ dripIntervalMs: 1_000 }),
  },
  {
    name: "s3-resets",
    what: "every connection is closed before the first byte",
    ...BREAKS,
    run: answering({ reset: true }),
  },
  {
    name: "s3-bucket-swapped",
    what: "another bucket, an empty one, under the same name for 7 s",
    promises: ["P1", "P7"],
    durationMs: 7_000,
    churn: false,
    felt: ["guard.holding"],
    goesOn: ["containers"],
    run: answering({ rewrite: emptied }),
  },
  {
    name: "s3-wrong-bucket",
    what: "restarted with the name of another bucket, an empty one, for 7 s",
    promises: ["P1", "P7"],
    durationMs: 7_000,
    churn: false,
    async run(world, context) {
      await world.stopObservers();
      const observer = world.startObserver("a", { S3_BUCKET: EMPTY_BUCKET });
      await observer.logged("guard.holding");
      await context.hold();
      await world.stopObservers();
      await world.startObserver("a").logged("lease.acquired");
    },
    ends: 2,
  },
];
