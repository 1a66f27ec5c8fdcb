/**
 * Goal: `npm start` shows the product at work on a simulated and on a real Engine, and leaves nothing behind.
 * Method: the demo as a child process; the table and the status endpoint are read through the addresses that it
 * prints, the real Engine is a private dockerd, and after each way to end it processes and folders are looked for.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import postgres from "postgres";
import { type Docker, startDocker } from "../../dev/services/docker.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { type DemoProcess, startDemo } from "./demo-process.ts";

interface Row {
  id: string;
  phase: string;
  operation: string;
  conditions: {
    container?: { running: boolean; reason: string; last_transition_at: string } | null;
    volume?: { exists: boolean } | null;
    archive?: { exists: boolean } | null;
  };
}

async function rowsOf(demo: DemoProcess): Promise<Map<string, Row>> {
  const sql = postgres(demo.databaseUrl, { max: 1 });
  try {
    const rows = await sql<Row[]>`select id, phase, operation, conditions from workspaces`;
    return new Map(rows.map((row) => [row.id, row]));
  } finally {
    await sql.end({ timeout: 1 });
  }
}

const NO_ENGINE = { DOCKER_HOST: "unix:///nonexistent/docker.sock" };

test("on a simulated Engine it says so, rows change, and two Ctrl-Cs leave nothing", async () => {
  const demo = await startDemo(NO_ENGINE);
  try {
    expect(demo.output).toContain("THE DOCKER ENGINE IS SIMULATED");
    expect(demo.output).toContain("/nonexistent/docker.sock");

    const before = await rowsOf(demo);
    expect(before.size).toBeGreaterThan(0);
    await waitFor("a container's condition to change", 30_000, async () => {
      const now = await rowsOf(demo);
      return [...before].some(([id, { conditions }]) => {
        const container = now.get(id)?.conditions.container;
        return container && container.last_transition_at !== conditions.container?.last_transition_at;
      });
    });
    // The controller in miniature decides by conditions alone, and gets somewhere.
    await waitFor("a workspace to be RUNNING and at rest", 30_000, async () => {
      const rows = [...(await rowsOf(demo)).values()];
      return rows.some(
        ({ phase, operation, conditions }) =>
          phase === "RUNNING" && operation === "NONE" && conditions.container?.running,
      );
    });

    const status = (await (await fetch(demo.statusUrl)).json()) as Record<string, unknown>;
    expect(status).toMatchObject({
      role: "leader",
      sources: { engine: { last_error: null }, archives: { last_error: null } },
      orphans: { container: { count: 0 } },
    });

    demo.signal("SIGINT");
    demo.signal("SIGINT");
    expect(await demo.exited).toBe(0);
    await demo.nothingLeft();
    expect(demo.output).toContain("nothing of it is left");
  } finally {
    await demo.dispose();
  }
});

test.each(["SIGTERM", "SIGHUP", "SIGKILL"] as const)("%s leaves nothing either", async (signal) => {
  const demo = await startDemo(NO_ENGINE);
  try {
    demo.signal(signal);
    await demo.exited;
    await demo.nothingLeft();
  } finally {
    await demo.dispose();
  }
});

describe("on a real Engine", () => {
  let docker: Docker;
  beforeAll(async () => {
    docker = await startDocker();
  });
  afterAll(() => docker?.stop());

  test("it makes rows for what is there, shows what one tries, and changes nothing", async () => {
    const { engine } = docker;
    await engine.run({ name: "ws-there", volume: "ws-there-home" });
    await engine.createVolume("ws-alone-home");
    await engine.run({ name: "unrelated" });

    const demo = await startDemo({ DOCKER_HOST: docker.dockerHost });
    try {
      expect(demo.output).not.toContain("SIMULATED");
      expect(demo.output).toContain("--name ws-hello");
      const rows = await rowsOf(demo);
      expect([...rows.keys()].sort()).toEqual(["alone", "hello", "there"]);
      expect(rows.get("there")?.conditions).toMatchObject({
        container: { running: true },
        volume: { exists: true },
        archive: null,
      });
      expect(rows.get("hello")?.conditions).toMatchObject({ container: null, volume: null });

      await engine.run({ name: "ws-hello", volume: "ws-hello-home" });
      await waitFor("the row hello to be RUNNING", 30_000, async () => {
        const hello = (await rowsOf(demo)).get("hello");
        return hello?.phase === "RUNNING" && hello.conditions.container?.running && hello.conditions.volume;
      });

      demo.signal("SIGINT");
      expect(await demo.exited).toBe(0);
      const names = (await engine.list()).flatMap(({ Names, State }) => Names.map((name) => [name, State]));
      expect(names.sort()).toEqual([
        ["/unrelated", "running"],
        ["/ws-hello", "running"],
        ["/ws-there", "running"],
      ]);
      expect((await engine.listVolumes()).sort()).toEqual([
        "ws-alone-home",
        "ws-hello-home",
        "ws-there-home",
      ]);
    } finally {
      await demo.dispose();
    }
  });
});
