/** What the page is dressed in and kept alive by: files of this folder, inside the executable. */
import { createHash } from "node:crypto";
import script from "./client.js" with { type: "text" };
import style from "./page.css" with { type: "text" };
import parts from "./parts.css" with { type: "text" };

export interface Asset {
  readonly path: string;
  /** With what it holds in its name, so that it may be kept for ever. */
  readonly url: string;
  readonly type: string;
  readonly text: string;
}

/** An eye that is open. */
const ICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><path fill="#0f766e" d="M16 6C8.600 6 3.200 11.300 1 16c2.200 4.700 7.600 10 15 10s12.800-5.300 15-10C28.800 11.300 23.400 6 16 6Z"/><circle cx="16" cy="16" r="6.500" fill="#fff"/><circle cx="16" cy="16" r="3" fill="#0f766e"/></svg>`;

const asset = (path: string, type: string, text: string): Asset => ({
  path,
  url: `${path}?v=${createHash("sha256").update(text).digest("hex").slice(0, 12)}`,
  type,
  text,
});

export const assets = {
  style: asset("/page.css", "text/css; charset=utf-8", style + parts),
  script: asset("/page.js", "text/javascript; charset=utf-8", script),
  icon: asset("/icon.svg", "image/svg+xml", ICON),
} as const;
