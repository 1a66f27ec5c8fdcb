// Goal: in the journal each line has its priority, elsewhere it is JSON; SIGUSR2 changes the level to debug and back.
// Method: the executable on a real PostgreSQL, without an Engine; its standard output is named as the journal or isn't.
import { expect, test } from "bun:test";
import { join } from "node:path";
import { waitFor } from "../../dev/services/wait.ts";
import { checksOfEverything, QUICK, useWorld } from "./support.ts";
import { type Settings, startObserver, workFolder } from "./support-executable.ts";
import { createPlatform } from "./support-platform.ts";

const world = useWorld({ postgres: 18 });
const noEngine = (): Settings => ({ ...QUICK, DOCKER_HOST: `unix://${join(workFolder(), "none.sock")}` });
/** As systemd does: the variable names what the shell's, and so the executable's, standard output is. */
const intoJournal = (executable: string) => [
  "/bin/sh",
  "-c",
  'JOURNAL_STREAM=$(stat -L -c %d:%i /proc/$$/fd/1) exec "$0" "$@"',
  executable,
];

test("SIGUSR2: debug, and back, both told", async () => {
  const platform = await createPlatform(world.postgres, "level");
  const observer = startObserver(world.settings(platform, { ...noEngine(), OBSERVER_LOG_LEVEL: "warn" }));
  await observer.logged("source.down");
  expect(observer.log("cycle.done")).toEqual([]);

  observer.signal("SIGUSR2");
  expect(await observer.logged("log.level_changed")).toMatchObject({ level: "debug" });
  expect(await observer.logged("cycle.done", 2)).toMatchObject({ level: "debug", kind: "look" });

  observer.signal("SIGUSR2");
  expect(await observer.logged("log.level_changed", 2)).toMatchObject({ level: "warn" });
  const before = observer.log("cycle.done").length;
  const looks = async () => {
    const [row] = await platform.sql<{ looks: number }[]>`
      select (status -> 'totals' ->> 'looks')::int as looks from observer_status`;
    return row!.looks;
  };
  const looksBefore = await looks();
  await waitFor("three looks more", 20_000, async () => (await looks()) >= looksBefore + 3);
  expect(observer.log("cycle.done")).toHaveLength(before);
  expect((await observer.stop()).code).toBe(0);
});

test("In the journal each line begins with its priority", async () => {
  const platform = await createPlatform(world.postgres, "journal");
  const observer = startObserver(world.settings(platform, noEngine()), { launch: intoJournal });
  await waitFor("a source that is down", 20_000, () => observer.output.stdout.includes("source.down"));
  expect((await observer.stop()).code).toBe(0);
  const lines = observer.output.stdout.trimEnd().split("\n");
  const priorities = { error: "<3>", warn: "<4>", info: "<6>", debug: "<7>" };
  const seen = new Set<string>();
  for (const line of lines) {
    const { level } = JSON.parse(line.slice(3)) as { level: keyof typeof priorities };
    expect(line.slice(0, 3)).toBe(priorities[level]);
    seen.add(level);
  }
  expect([...seen].sort()).toEqual(["error", "info", "warn"]);
});

checksOfEverything({ logs: false, documents: false });
