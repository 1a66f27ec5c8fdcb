import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Tries until the condition holds; an event to wait for that no promise tells of. */
export async function until(condition: () => boolean, what: string, deadlineMs = 10_000): Promise<void> {
  const endMs = performance.now() + deadlineMs;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`Waited ${deadlineMs} ms in vain: ${what}`);
    await Bun.sleep(2);
  }
}

/** A folder with a path short enough for unix sockets. */
export async function temporaryFolder(): Promise<{ path: string; remove: () => Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), "obs-"));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

/** How a promise that must fail failed: the error's code or name. */
export async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    const { code, name } = error as { code?: unknown; name?: unknown };
    return typeof code === "string" ? code : String(name);
  }
  return "no failure";
}
