// Takes docs/page.png, the README's picture of the page:  bun dev/page-picture.ts http://127.0.0.1:9464
// `npm start` is a world to take it of; after a quarter of an hour its charts are full.
import { join } from "node:path";
import { startChromium } from "./services/chromium.ts";

const [url] = process.argv.slice(2);
if (url === undefined) {
  console.error("Usage: bun dev/page-picture.ts http://127.0.0.1:9464");
  process.exit(64);
}
const chromium = await startChromium();
try {
  const page = await chromium.browser.newPage({
    viewport: { width: 1240, height: 900 },
    colorScheme: "light",
  });
  await page.goto(url);
  await page.getByText("Live", { exact: true }).waitFor();
  await page.screenshot({
    path: join(import.meta.dir, "../docs/page.png"),
    clip: { x: 0, y: 0, width: 1240, height: 900 },
    fullPage: true,
  });
} finally {
  await chromium.stop();
}
