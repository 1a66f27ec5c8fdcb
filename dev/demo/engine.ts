// The demo's Engine: this machine's, which is only read, or else a simulated one.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createDockerEngine } from "../../src/adapters/docker.ts";
import { loadConfig } from "../../src/config.ts";
import { startEngine } from "../fakes/engine.ts";
import type { EngineWorld } from "../fakes/engine-world.ts";

const ANSWER_MS = 2_000;
const LISTING_MS = 10_000;

/** What decides where the Engine is; the docker CLI reads the same. */
const ENGINE_SETTINGS = ["DOCKER_HOST", "DOCKER_TLS", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "HOME"];

interface Engine {
  /** Settings with which the Observer finds it. */
  readonly env: Readonly<Record<string, string>>;
}

export interface RealEngine extends Engine {
  readonly kind: "real";
  /** `host, Docker 20.10.24` */
  readonly description: string;
  /** Of the workspaces that have a container or a volume on it. */
  readonly workspaceIds: readonly string[];
}

export interface SimulatedEngine extends Engine {
  readonly kind: "simulated";
  /** Why it isn't a real one. */
  readonly reason: string;
  readonly world: EngineWorld;
  stop(): Promise<void>;
}

export async function findEngine(prefix: string, folder: string): Promise<RealEngine | SimulatedEngine> {
  try {
    return await findRealEngine(prefix);
  } catch (cause) {
    const engine = await startEngine({ listen: { unixPath: join(folder, "docker.sock") } });
    return {
      kind: "simulated",
      reason: cause instanceof Error ? cause.message : String(cause),
      env: { DOCKER_HOST: engine.dockerHost },
      world: engine.world,
      stop: () => engine.stop(),
    };
  }
}

/** Asked with the product's own adapter: what it can't read, the Observer couldn't either. */
async function findRealEngine(prefix: string): Promise<RealEngine> {
  const env: Record<string, string> = {};
  for (const name of ENGINE_SETTINGS) {
    const value = process.env[name];
    if (value !== undefined && value !== "") env[name] = value;
  }
  const { engines } = loadConfig(
    { ...env, DATABASE_URL: "postgres://demo@localhost/demo" },
    (path) => readFileSync(path, "utf8"),
    { hostname: "demo", pid: process.pid },
  );
  const endpoint = engines[0]?.endpoint;
  if (endpoint === undefined || endpoint.kind === "kubernetes")
    throw new Error("Bug: the demo asks for a Docker Engine");
  const engine = createDockerEngine({ endpoint });
  const info = await engine.info(AbortSignal.timeout(ANSWER_MS));
  const look = { signal: AbortSignal.timeout(LISTING_MS) };
  const [containers, volumes] = await Promise.all([
    engine.listAll(prefix, look),
    engine.listVolumes(prefix, look),
  ]);
  return {
    kind: "real",
    env,
    description: `${info.name}, Engine ${info.serverVersion}`,
    workspaceIds: [...new Set([...containers.byWorkspace.keys(), ...volumes.byWorkspace.keys()])],
  };
}
