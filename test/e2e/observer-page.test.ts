// Goal: the page does what it is for in a real browser: ten thousand workspaces, names that would be markup, light and
// dark, wide and narrow, by keyboard, without JavaScript, signed in, and live; and the browser has nothing to complain of.
// Method: the executable on PostgreSQL and a simulated Engine whose names may be anything; Chromium; axe.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { type FakeEngine, startEngine } from "../../dev/fakes/engine.ts";
import { type Chromium, startChromium } from "../../dev/services/chromium.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { checksOfEverything, useWorld } from "./support.ts";
import { type Observer, STATUS_TOKEN, startObserver, workFolder } from "./support-executable.ts";
import { findings, NARROW, overflow, type Person, person, screenshot, signIn, WIDE } from "./support-page.ts";
import { createPlatform, type Platform } from "./support-platform.ts";
import { startWebProxy } from "./support-web-proxy.ts";

const world = useWorld({ postgres: 15, keepObservers: true });

const ROWS = 10_000;
const HOSTILE = [
  "<img src=x onerror=alert(1)>",
  "\u202Egnp.exe",
  "مساحة-العمل",
  `" onfocus=alert(1) autofocus x="`,
];
/** As wide as a row can be. */
const UUID = "00000000-7c2a-4c52-bf65-0ece7faa9d0f";
const SCRIPT = "</td><script>alert(1)</script>";

let platform: Platform;
let engine: FakeEngine;
let observer: Observer;
let chromium: Chromium;
let url: string;
let ann: Person;

beforeAll(async () => {
  const folder = workFolder();
  [engine, chromium, platform] = await Promise.all([
    startEngine({ listen: { unixPath: join(folder, "docker.sock") } }),
    startChromium(),
    createPlatform(world.postgres, "page"),
  ]);
  await platform.sql`
    insert into workspaces (id) select 'w' || lpad(n::text, 5, '0') from generate_series(1, ${ROWS}::int) n`;
  await platform.insert(...HOSTILE, UUID);
  run(UUID, "unhealthy");
  for (let n = 1; n <= 300; n++) run(`w${String(n).padStart(5, "0")}`);
  engine.world.createContainer({ name: "ws-w00301", image: SCRIPT.repeat(20_000) });
  engine.world.createVolume("ws-w00302-home", { driver: SCRIPT });
  engine.world.kill("ws-w00300");
  observer = startObserver(
    world.settings(platform, {
      DOCKER_HOST: engine.dockerHost,
      OBSERVER_IDLE_INTERVAL: "1s",
      OBSERVER_ACTIVE_INTERVAL: "1s",
      OBSERVER_MAX_AGE: "1h",
    }),
  );
  url = String((await observer.logged("status.listening")).url);
  await waitFor("all rows to be observed", 40_000, async () => {
    const [row] = await platform.sql<{ left: number }[]>`
      select count(*)::int as left from workspaces where observed_at is null`;
    return row?.left === 0;
  });
  ann = await person(chromium.browser, url);
}, 90_000);

afterAll(async () => {
  await chromium?.stop();
  await engine?.stop();
});

function run(id: string, health: "healthy" | "unhealthy" = "healthy"): void {
  engine.world.createContainer({ name: `ws-${id}`, volume: `ws-${id}-home`, health });
  engine.world.start(`ws-${id}`);
}

test("A browser is asked for the token, and let in by it; the cookie is out of reach of scripts", async () => {
  const { page } = ann;
  await page.goto("/");
  expect(await page.title()).toBe("Sign in · Observer");
  expect(await findings(page)).toEqual([]);
  await page.getByLabel(/token/i).fill("not the token");
  await page.getByRole("button", { name: "Sign in" }).click();
  expect(await page.getByRole("alert").textContent()).toBe("That is not the token.");
  await signIn(ann, STATUS_TOKEN);
  // The browser itself says that it was refused.
  expect(ann.complaints.splice(0).filter((text) => !text.includes("401"))).toEqual([]);
  expect(await page.evaluate("document.cookie")).toBe("");
  expect(await page.content()).not.toContain(STATUS_TOKEN);
});

test("Ten thousand workspaces: all is well, they are counted, and hostile names are only names", async () => {
  const { page } = ann;
  await page.goto("/");
  await page.getByText("Live", { exact: true }).waitFor();
  expect(await page.locator("#headline").textContent()).toBe("All well.");
  const caption = await page.locator("table.workspaces caption").textContent();
  expect(caption).toBe(`1 to 50 of 10,005 workspaces`);
  expect(await page.locator("table.workspaces tbody tr").count()).toBe(50);
  // What the loop reported is in the pictures.
  expect(await page.locator("#charts figure:first-child rect").count()).toBeGreaterThan(0);
  const names = await page.locator("table.workspaces tbody th").allTextContents();
  expect(names).toContain(HOSTILE[0]!);
  await page.goto("/?q=w0030");
  expect(await page.locator("script").count()).toBe(1);
  await page.getByRole("link", { name: "w00301" }).click();
  await page.getByRole("heading", { name: "Workspace w00301" }).waitFor();
  expect(await page.locator("script").count()).toBe(0);
  expect(await page.locator("main").textContent()).toContain("</td><script>alert(1)</script>");
  await page.goto(`/workspaces/${encodeURIComponent(HOSTILE[1]!)}`);
  expect(await page.locator("h1").textContent()).toBe("Workspace \ufffdgnp.exe");
  expect(ann.complaints.splice(0)).toEqual([]);
});

test("Searched, filtered and paged, by keyboard", async () => {
  const { page } = ann;
  await page.goto("/");
  await page.keyboard.press("Tab");
  expect(await page.evaluate("document.activeElement.textContent")).toBe("To the content");
  await page.keyboard.press("Enter");
  await page.getByLabel("Workspace or container id").fill("W0999");
  await page.keyboard.press("Enter");
  await page.getByText("1 to 10 of 10 workspaces").waitFor();
  await page.goto("/?state=running");
  await page.getByText("1 to 50 of 300 workspaces").waitFor();
  await page.getByRole("link", { name: "Last" }).focus();
  await page.keyboard.press("Enter");
  await page.getByText("251 to 300 of 300 workspaces").waitFor();
  expect(await page.locator('[aria-current="true"]').textContent()).toBe("Running 300");
  await page.goto("/?state=stopped");
  await page.getByText("1 to 2 of 2 workspaces").waitFor();
  expect(ann.complaints.splice(0)).toEqual([]);
});

test("Live: what changes is seen without a load, and the focus stays", async () => {
  const { page } = ann;
  await page.goto("/?q=w0001");
  await page.getByText("Live", { exact: true }).waitFor();
  await page.evaluate("globalThis.isStillHere = true");
  await page.getByRole("link", { name: "w00012" }).focus();
  engine.world.kill("ws-w00013");
  const row = page.locator("table.workspaces tbody tr", { hasText: "w00013" });
  await row.getByText("Exited", { exact: true }).waitFor();
  expect(await row.textContent()).toContain("exited with code 137");
  await page.locator("#lately").getByText("w00013").waitFor();
  expect(await page.evaluate("document.activeElement.textContent")).toBe("w00012");
  expect(await page.evaluate("globalThis.isStillHere")).toBe(true);

  engine.faults.set("containers", { status: 500 });
  await page.locator("#headline").getByText("the Engine").waitFor();
  await page.locator("#sources").getByText("failing").waitFor();
  engine.faults.clear();
  await page.locator("#headline").getByText("All well.").waitFor();
  expect(await page.evaluate("globalThis.isStillHere")).toBe(true);
  expect(ann.complaints.splice(0)).toEqual([]);
});

test.each([
  ["/", "home", "light", WIDE],
  ["/?state=stopped&q=w", "home", "light", NARROW],
  ["/", "home", "dark", WIDE],
  ["/", "home", "dark", NARROW],
  ["/workspaces/w00013", "workspace", "light", NARROW],
  ["/workspaces/w00013", "workspace", "dark", WIDE],
] as const)(
  "axe finds nothing, and nothing sticks out: %s as %s, %s",
  async (path, what, colorScheme, viewport) => {
    const { page } = ann;
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize(viewport);
    await page.goto(path);
    if (what === "home") await page.getByText("As a table").click();
    expect(await findings(page)).toEqual([]);
    expect(await overflow(page)).toBe(0);
    await screenshot(page, `${what}-${colorScheme}-${viewport.width}`);
    expect(ann.complaints.splice(0)).toEqual([]);
  },
);

test("Without JavaScript it is the same, as plain tables", async () => {
  const bob = await person(chromium.browser, url, { javaScriptEnabled: false });
  const { page } = bob;
  await signIn(bob, STATUS_TOKEN);
  expect(await page.locator("table").count()).toBeGreaterThanOrEqual(4);
  await page.getByLabel("Workspace or container id").fill("w00299");
  await page.getByRole("button", { name: "Search" }).click();
  await page.getByText("1 to 1 of 1 workspace").waitFor();
  await page.getByRole("link", { name: "w00299" }).click();
  await page.getByText("What happened before, the latest first").waitFor();
  await page.getByRole("link", { name: "All workspaces" }).click();
  await page.getByRole("link", { name: /^Running/ }).click();
  await page.getByRole("link", { name: "Next" }).click();
  await page.getByText("51 to 100 of 299 workspaces").waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  expect(bob.complaints.filter((text) => !text.includes("401"))).toEqual([]);
  await bob.context.close();
});

test("A stand-by says that it is one, and tells of one workspace what the database knows", async () => {
  const second = startObserver(
    world.settings(platform, { DOCKER_HOST: engine.dockerHost, OBSERVER_INSTANCE: "two" }),
  );
  await second.logged("lease.standby");
  const cleo = await person(chromium.browser, String((await second.logged("status.listening")).url));
  const { page } = cleo;
  await signIn(cleo, STATUS_TOKEN);
  await page.getByText(`All well. This instance stands by; ${observer.instance} leads.`).waitFor();
  await page.getByLabel("Workspace or container id").fill("w00013");
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "Ask the database for “w00013”" }).click();
  await page.getByRole("heading", { name: "Workspace w00013" }).waitFor();
  expect(await page.locator("main").textContent()).toContain("exited with code 137");
  await cleo.context.close();
  expect((await second.stop()).code).toBe(0);
});

test.each([
  ["TLS, the name passed on", "https:", true, true],
  ["TLS, the name its own", "https:", false, true],
  ["another name without TLS", "http:", true, false],
])("Behind a proxy, %s: signed in, live, and out again", async (_, scheme, passesHost, secure) => {
  const proxy = await startWebProxy(url, { tls: scheme === "https:", passesHost });
  // Without TLS, and of a name that is not this machine's, a page is no secure context: browsers say less of where it is from.
  const dora = await person(
    chromium.browser,
    secure ? proxy.url : "http://observer.example",
    secure ? { ignoreHTTPSErrors: true } : { proxy: { server: proxy.url } },
  );
  const { page, context } = dora;
  await signIn(dora, STATUS_TOKEN);
  expect(await page.evaluate("isSecureContext")).toBe(secure);
  expect(
    (await context.cookies()).map((cookie) => [cookie.secure, cookie.httpOnly, cookie.sameSite]),
  ).toEqual([[secure, true, "Strict"]]);
  await page.getByText("Live", { exact: true }).waitFor();
  await page.getByLabel("Workspace or container id").fill("w0001");
  await page.keyboard.press("Enter");
  await page.getByRole("link", { name: "w00011" }).click();
  await page.getByRole("heading", { name: "Workspace w00011" }).waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  expect(await context.cookies()).toEqual([]);
  // Without TLS a browser says that one of the headers does nothing.
  const expected = secure ? /401/ : /401|Cross-Origin-Opener-Policy header has been ignored/;
  expect(dora.complaints.filter((text) => !expected.test(text))).toEqual([]);
  await context.close();
  await proxy.stop();
});

test("A session that ended takes its live page with it; the end of the process isn't held up by a page", async () => {
  const { page } = ann;
  await page.setViewportSize(WIDE);
  await page.goto("/");
  await page.getByText("Live", { exact: true }).waitFor();
  const stopped = await observer.stop();
  expect([stopped.code, stopped.durationMs < 5_000]).toEqual([0, true]);
  await page.getByText(/^Not live since/).waitFor();
});

checksOfEverything();
