// Goal: `observer status` says who observes and how, from the table or, without it, from the instance itself; --watch
// goes on until it is told to stop, and leaves a terminal as it found it.
// Method: real services and a running instance; the terminal is a pseudo-terminal.
import { beforeAll, expect, test } from "bun:test";
import { freePort } from "../../dev/services/ports.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { checksOfEverything, QUICK, useWorld } from "./support.ts";
import {
  executablePath,
  type Observer,
  runCommand,
  type Settings,
  STATUS_TOKEN,
  startObserver,
} from "./support-executable.ts";
import { createPlatform, type Platform } from "./support-platform.ts";
import { startOnTerminal } from "./support-terminal.ts";

const world = useWorld({ docker: true, postgres: 18, keepObservers: true });
const BROWSER = { authorization: `Bearer ${STATUS_TOKEN}`, accept: "text/html" };
const CURSOR_AND_WRAP_BACK = "\u001b[?25h\u001b[?7h";

let platform: Platform;
let settings: Settings;
let observer: Observer;
let noDatabase: Settings;
let url: string;
beforeAll(async () => {
  platform = await createPlatform(world.postgres, "status");
  await platform.insert("s1");
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  settings = world.settings(platform, {
    ...QUICK,
    OBSERVER_LISTEN: `127.0.0.1:${port}`,
    OBSERVER_STATUS_TOKEN: STATUS_TOKEN,
  });
  noDatabase = {
    ...settings,
    DATABASE_URL: platform.url().replace(`:${world.postgres.port}/`, ":1/"),
  };
  observer = startObserver({ ...settings, OBSERVER_INSTANCE: "seen" });
  await observer.logged("status.listening");
  await waitFor("its row", 20_000, async () => (await runCommand(["status"], settings)).code === 0);
}, 60_000);

test("from the table: role, sources, links and a verdict; --json has the same", async () => {
  const { code, stdout } = await runCommand(["status"], { ...settings, OBSERVER_LISTEN: "off" });
  expect(code).toBe(0);
  expect(stdout).toMatch(/^seen +leader +\d+ +0\.1\.0 +[\d.]+ s ago +(idle|active)/m);
  expect(stdout).toMatch(/^engine +observed [\d.]+ s ago, in \d+ ms$/m);
  expect(stdout).toMatch(/^archives +–$/m);
  expect(stdout).toMatch(/^links +database up, channel up, events up/m);
  expect(stdout).toMatch(/^All is well: seen leads, and everything is observed\.$/m);
  expect(stdout).not.toContain("\u001b");
  const json = JSON.parse((await runCommand(["status", "--json"], settings)).stdout);
  expect(json).toMatchObject({ observed: true, reasons: [], from: "observer_status" });
  expect(json.instances[0]).toMatchObject({ instance: "seen", status: { role: "leader" } });
});

test("without a database from the instance on this machine, or the one that is named", async () => {
  for (const [args, env] of [
    [["status", "--json"], noDatabase],
    [["status", "--json", "--url", `${url}/`], { OBSERVER_STATUS_TOKEN: STATUS_TOKEN }],
  ] as const) {
    const { code, stdout } = await runCommand([...args], env);
    expect([code, JSON.parse(stdout)]).toMatchObject([
      0,
      { observed: true, instances: [{ instance: "seen" }] },
    ]);
    expect(JSON.parse(stdout).from).toStartWith(url);
  }
});

test("the table can be read and not written: what the instance on this machine says itself is told at once", async () => {
  await platform.sql.unsafe(`revoke update on observer_lease from ${platform.role}`);
  const told = await waitFor("the cause", 20_000, async () => {
    const { stdout } = await runCommand(["status", "--json"], settings);
    return JSON.parse(stdout).reasons.find((reason: string) => reason.includes("permission denied"));
  });
  expect(told).toMatch(
    /^the database cannot be used: .*permission denied for table observer_lease.*observer schema --role/,
  );
  const { stdout } = await runCommand(["status"], settings);
  expect(stdout).toMatch(/^The database cannot be used, for [\d.]+ s\.$/m);
  expect(stdout).toMatch(/^.*Not well: the database cannot be used.*$/m);
  await platform.sql.unsafe(`grant update on observer_lease to ${platform.role}`);
  await waitFor("all to be well", 20_000, async () => {
    const { stdout } = await runCommand(["status"], settings);
    return stdout.includes("All is well");
  });
});

test("history that cannot be kept is a doubt, told everywhere and in the log; the table is right, and it mends itself", async () => {
  const { engine } = world.docker;
  const linkUp = async () => (await observer.status()).links.transitions?.up;
  const shows = async () => ({
    verdict: (await runCommand(["status"], settings)).stdout,
    page: (await observer.get("/", BROWSER)).text,
    metric: (await observer.get("/metrics")).text.match(/^observer_link_up{link="transitions"} (\d)$/m)?.[1],
    ready: (await observer.get("/readyz")).status,
  });
  await engine.run({ name: "ws-s1", volume: "ws-s1-home" });
  await waitFor("the first change to be kept", 20_000, async () => (await linkUp()) === true);
  await platform.sql.unsafe(`revoke insert on observer_transitions from ${platform.role}`);
  await engine.pause("ws-s1");
  await platform.shows("paused", ["s1"], ({ container }) => container?.reason === "Paused");
  expect((await observer.logged("transitions.down")).level).toBe("warn");
  const doubt = "It works, but the history of changes cannot be kept";
  await waitFor("its row", 20_000, async () => (await shows()).verdict.includes(doubt));
  expect(await shows()).toEqual({
    verdict: expect.stringMatching(/permission denied for table observer_transitions/),
    page: expect.stringContaining(doubt),
    metric: "0",
    ready: 200,
  });
  await platform.sql.unsafe(`grant insert on observer_transitions to ${platform.role}`);
  await engine.unpause("ws-s1");
  await waitFor("the next change to be kept", 20_000, async () => (await linkUp()) === true);
  await waitFor("its row", 20_000, async () => (await shows()).verdict.includes("All is well"));
  expect(await shows()).toMatchObject({
    page: expect.stringContaining("All well."),
    metric: "1",
    ready: 200,
  });
  expect(observer.log("transitions.down")).toHaveLength(1);
  expect(observer.log("transitions.up")).toHaveLength(1);
});

test("what keeps it from asking is said: no token, nobody there, no URL", async () => {
  const noToken = await runCommand(["status", "--url", url]);
  expect([noToken.code, noToken.stderr]).toEqual([
    1,
    `Cannot ask ${url}/status: it wants the token of OBSERVER_STATUS_TOKEN\n`,
  ]);
  const nobody = await runCommand(["status"], { ...noDatabase, OBSERVER_LISTEN: "127.0.0.1:1" });
  expect(nobody.code).toBe(1);
  expect(nobody.stderr).toMatch(
    /^Cannot read observer_status: PostgreSQL cannot be reached.* Cannot ask http:\/\/127\.0\.0\.1:1\/status: /,
  );
  expect((await runCommand(["status", "--url", "nowhere"])).code).toBe(64);
});

test("--watch on a terminal draws in place, in colour, and Ctrl-C gives the terminal back", async () => {
  using terminal = startOnTerminal(["status", "--watch"], settings, 6);
  await terminal.shows(/(\u001b\[32mAll is well[\s\S]*){2}/);
  terminal.type("\u0003");
  expect(await terminal.exited).toBe(0);
  expect(terminal.text()).toStartWith("\u001b[?25l");
  // The screen has six lines.
  expect(terminal.text()).toMatch(/… \d+ more lines/);
  await waitFor("the cursor", 20_000, () => terminal.text().includes(CURSOR_AND_WRAP_BACK), 25);
});

test("NO_COLOR and a dumb terminal get none", async () => {
  for (const env of [{ NO_COLOR: "1" }, { TERM: "dumb" }]) {
    using terminal = startOnTerminal(["status"], { ...settings, ...env });
    expect(await terminal.exited).toBe(0);
    await terminal.shows(/All is well/);
    expect(terminal.text()).not.toContain("\u001b");
  }
});

test("--watch in a pipe prints block after block, and ends with its reader", async () => {
  const child = Bun.spawn([executablePath(), "status", "--watch", "--json"], {
    env: settings,
    stdout: "pipe",
    stderr: "inherit",
  });
  let text = "";
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.split("\n").length > 2) break;
  }
  // Leaving the loop closed the pipe: it ends by itself when it can't write.
  expect(await child.exited).toBe(0);
  for (const line of text.trim().split("\n").slice(0, 2))
    expect(JSON.parse(line)).toMatchObject({ observed: true });
});

checksOfEverything();
