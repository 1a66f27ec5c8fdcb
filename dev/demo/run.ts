// Puts the demo together, lets it live until it is to end, and takes it apart in order.

import { type FakeS3, startS3 } from "../fakes/s3.ts";
import { createVillage } from "../fakes/village.ts";
import { openScope } from "../services/scope.ts";
import { banner, engineNotice, say } from "./banner.ts";
import { adoptWorkspaces, beginOperation, settleOperations } from "./controller.ts";
import { type DemoDatabase, startDatabase } from "./database.ts";
import { findEngine, type RealEngine, type SimulatedEngine } from "./engine.ts";
import { startObserver } from "./observer.ts";

const PREFIX = "ws-";
const TICK_MS = 1_500;
/** The village's age, in steps, when the curtain rises. */
const FIRST_STEPS = 10;
/** What scrolled away is said again. */
const REMINDER_STEPS = 40;

interface Parts {
  readonly folder: string;
  readonly database: DemoDatabase;
  readonly engine: RealEngine | SimulatedEngine;
  readonly s3: FakeS3;
}

/** @returns the exit code: 0 when `signal` ended it, and the Observer's own when that ended by itself */
export async function runDemo(signal: AbortSignal): Promise<number> {
  const parts = await startParts(signal);
  const { database, engine, s3, folder } = parts;
  const step = engine.kind === "simulated" ? villageStep(parts, engine) : null;
  say(engineNotice(engine));
  if (engine.kind === "real") await adoptWorkspaces(database.sql, [...engine.workspaceIds, "hello"]);
  for (let count = 0; step !== null && count < FIRST_STEPS; count++) await step();

  const observer = await startObserver(folder, settingsFor(parts));
  const ended = new AbortController();
  void observer.exited.then(() => ended.abort());
  const living = AbortSignal.any([signal, ended.signal]);
  const sayHow = () => say(banner(engine, database, observer.statusUrl));
  try {
    await observer.ready(living);
    if (!living.aborted) sayHow();
    for (let count = 1; !living.aborted; count++) {
      if (step !== null) say(`village: ${await step()}`);
      await settleOperations(database.sql);
      if (step !== null && count % REMINDER_STEPS === 0) sayHow();
      await pause(TICK_MS, living);
    }
    return signal.aborted ? 0 : await observer.exited;
  } finally {
    await observer.stop();
    await database.sql.end({ timeout: 1 });
    if (engine.kind === "simulated") await engine.stop();
    await s3.stop();
  }
}

async function startParts(signal: AbortSignal): Promise<Parts> {
  // Nobody waits for a database that is half-made. The services' watchdog removes it once this process is gone.
  const leave = () => process.exit(0);
  signal.addEventListener("abort", leave);
  const { folder } = openScope("demo");
  const starting = [startDatabase(), findEngine(PREFIX, folder), startS3({ bucket: "archives" })] as const;
  await Promise.allSettled(starting);
  signal.removeEventListener("abort", leave);
  const [database, engine, s3] = await Promise.all(starting);
  return { folder, database, engine, s3 };
}

/** One step of the simulated workspaces' life, with what a controller would write about it. Tells what happened. */
function villageStep({ database, s3 }: Parts, engine: SimulatedEngine): () => Promise<string> {
  const village = createVillage({
    engine: engine.world,
    archives: s3.bucket,
    random: Math.random,
    prefix: PREFIX,
  });
  return async () => {
    const step = village.tick();
    await beginOperation(database.sql, step);
    return `${step.workspaceId} ${step.action}`;
  };
}

function settingsFor({ database, engine, s3 }: Parts): Record<string, string> {
  return {
    ...engine.env,
    DATABASE_URL: database.observerUrl,
    S3_BUCKET: s3.bucket.name,
    AWS_ENDPOINT_URL_S3: s3.endpoint,
    AWS_ACCESS_KEY_ID: s3.credentials?.accessKeyId ?? "",
    AWS_SECRET_ACCESS_KEY: s3.credentials?.secretAccessKey ?? "",
    OBSERVER_PREFIX: PREFIX,
  };
}

/** Resolves after that time, or at once when the signal fires. */
function pause(durationMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, durationMs);
    signal.addEventListener("abort", end);
    if (signal.aborted) end();
  });
}
