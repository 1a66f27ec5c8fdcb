// A way to the Engine that counts what is asked, from outside.
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { openScope } from "../services/scope.ts";

export interface CountingProxy {
  readonly dockerHost: string;
  /** By kind of request. */
  readonly counts: Readonly<Record<EngineCall, number>>;
  reset(): void;
  stop(): Promise<void>;
}

export type EngineCall = "whole lists" | "filtered lists" | "inspects" | "volumes" | "others";

export async function startCountingProxy(engineSocketPath: string): Promise<CountingProxy> {
  const scope = openScope("count");
  const path = join(scope.folder, "engine.sock");
  const counts: Record<EngineCall, number> = {
    "whole lists": 0,
    "filtered lists": 0,
    inspects: 0,
    volumes: 0,
    others: 0,
  };
  const server = createServer((client) => {
    const engine = connect(engineSocketPath);
    for (const [one, other] of [
      [client, engine],
      [engine, client],
    ] as const) {
      one.on("error", () => {});
      one.on("close", () => other.destroy());
    }
    client.on("data", (bytes: Buffer) => {
      for (const [, target = ""] of bytes.toString("latin1").matchAll(/^GET (\S+) HTTP/gm))
        counts[callOf(target)] += 1;
    });
    client.pipe(engine);
    engine.pipe(client);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
  return {
    dockerHost: `unix://${path}`,
    counts,
    reset() {
      for (const name of Object.keys(counts) as EngineCall[]) counts[name] = 0;
    },
    async stop() {
      server.close();
      await scope.stop();
    },
  };
}

/**
 * A filter that many names pass, such as the prefix, makes a whole list all the same.
 * @param target path and query of a request
 */
export function callOf(target: string): EngineCall {
  const [path = "", query = ""] = target.split("?", 2);
  const filters = new URLSearchParams(query).get("filters") ?? "";
  const isNarrow = /"(id|name)":.*[0-9a-f-]{12}/.test(filters);
  if (path.endsWith("/containers/json")) return isNarrow ? "filtered lists" : "whole lists";
  if (/\/containers\/[^/]+\/json$/.test(path)) return "inspects";
  return path.includes("/volumes") ? "volumes" : "others";
}
