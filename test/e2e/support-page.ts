// A person at a browser: what is on the page, what the browser complained of, and what axe has to say.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import axe, { type Result } from "axe-core";
import type { Browser, BrowserContext, BrowserContextOptions, Page } from "playwright-core";

const SCREENSHOTS = join(import.meta.dir, "../../dist/screenshots");
/** The narrowest telephone that is still common. */
export const NARROW = { width: 390, height: 844 };
export const WIDE = { width: 1280, height: 900 };

export interface Person {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors of the console, uncaught ones, and violations of the page's policy. */
  readonly complaints: string[];
}

/** @param baseUrl of the endpoint, so that pages are named by their paths */
export async function person(
  browser: Browser,
  baseUrl: string,
  options: BrowserContextOptions = {},
): Promise<Person> {
  const context = await browser.newContext({ viewport: WIDE, baseURL: baseUrl, ...options });
  context.setDefaultTimeout(15_000);
  const complaints: string[] = [];
  const page = await context.newPage();
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("requestfailed", (request) => {
    const why = request.failure()?.errorText ?? "";
    // What is under way when the page is left ends with it.
    if (why !== "net::ERR_ABORTED") complaints.push(`${request.url()} ${why}`);
  });
  page.on("dialog", (dialog) => {
    complaints.push(`a script of a stranger says: ${dialog.message()}`);
    void dialog.dismiss();
  });
  return { page, context, complaints };
}

/** With the token, as a person does it. */
export async function signIn({ page }: Person, token: string): Promise<void> {
  await page.goto("/");
  await page.getByLabel(/token/i).fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Workspaces" }).waitFor();
}

/** What axe finds wrong, by every rule that it has, the merely advisable ones too: nothing, one hopes. */
export async function findings(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  // What it found to be right is much, and nobody reads it.
  const violations = await page.evaluate<Result[]>(
    "axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) => violations)",
  );
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ html, failureSummary }) => `${id}: ${help}: ${html.slice(0, 200)} ${failureSummary}`),
  );
}

export async function screenshot(page: Page, name: string): Promise<void> {
  mkdirSync(SCREENSHOTS, { recursive: true });
  await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`) });
}

/** How much wider than the window the page is. */
export const overflow = (page: Page): Promise<number> =>
  page.evaluate<number>("document.documentElement.scrollWidth - document.documentElement.clientWidth");
