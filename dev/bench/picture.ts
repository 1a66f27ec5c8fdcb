// A chart of milliseconds over workspaces, both by powers of ten, as an SVG of text: light or dark as the reader's page.

export interface Point {
  readonly workspaces: number;
  readonly ms: number;
}

export interface Line {
  readonly name: string;
  /** One of the style's colours, and how it is drawn. */
  readonly style: "observer" | "events" | "floor" | "naive" | "individual";
  readonly points: readonly Point[];
}

const WIDTH = 760;
const HEIGHT = 430;
const PLOT = { left: 70, right: 210, top: 46, bottom: 50 };
/** Names of lines stand at least so far apart. */
const LABEL_PIXELS = 16;

const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #1f2328; }
  .small { font-size: 12px; fill: #59636e; }
  .title { font-size: 15px; font-weight: 600; }
  .grid { stroke: #d1d9e0; stroke-width: 1; }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
  .observer { stroke: #0969da; } .observer.dot, .observer.name { fill: #0969da; }
  .events { stroke: #8250df; } .events.dot, .events.name { fill: #8250df; }
  .floor { stroke: #59636e; } .floor.dot, .floor.name { fill: #59636e; }
  .naive { stroke: #bc4c00; } .naive.dot, .naive.name { fill: #bc4c00; }
  .individual { stroke: #cf222e; } .individual.dot, .individual.name { fill: #cf222e; }
  .floor.line { stroke-dasharray: 5 4; }
  .name, .dot { stroke: none; }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc; }
    .small { fill: #9198a1; }
    .grid { stroke: #3d444d; }
    .observer { stroke: #4493f8; } .observer.dot, .observer.name { fill: #4493f8; }
    .events { stroke: #ab7df8; } .events.dot, .events.name { fill: #ab7df8; }
    .floor { stroke: #9198a1; } .floor.dot, .floor.name { fill: #9198a1; }
    .naive { stroke: #db6d28; } .naive.dot, .naive.name { fill: #db6d28; }
    .individual { stroke: #f85149; } .individual.dot, .individual.name { fill: #f85149; }
    .name, .dot { stroke: none; }
  }`;

/** @param lines those without a point are left out; at least one has one */
export function drawChart(title: string, lines: readonly Line[]): string {
  const drawn = lines.filter(({ points }) => points.length > 0);
  const points = drawn.flatMap((line) => line.points);
  if (points.length === 0) throw new Error("Cannot draw a chart of nothing: no line has a point");
  const horizontal = scaleOf(
    points.map(({ workspaces }) => workspaces),
    PLOT.left,
    WIDTH - PLOT.right,
  );
  const vertical = scaleOf(
    points.map(({ ms }) => ms),
    HEIGHT - PLOT.bottom,
    PLOT.top,
  );
  const right = WIDTH - PLOT.right;
  const bottom = HEIGHT - PLOT.bottom;
  const grid = [
    ...vertical.ticks.flatMap((ms) => {
      const y = round(vertical.at(ms));
      return [
        `<line class="grid" x1="${PLOT.left}" y1="${y}" x2="${right}" y2="${y}"/>`,
        `<text class="small" x="${PLOT.left - 8}" y="${y + 4}" text-anchor="end">${timeText(ms)}</text>`,
      ];
    }),
    ...horizontal.ticks.flatMap((workspaces) => {
      const x = round(horizontal.at(workspaces));
      return [
        `<line class="grid" x1="${x}" y1="${PLOT.top}" x2="${x}" y2="${bottom}"/>`,
        `<text class="small" x="${x}" y="${bottom + 18}" text-anchor="middle">${workspaces.toLocaleString("en")}</text>`,
      ];
    }),
    `<text class="small" x="${(PLOT.left + right) / 2}" y="${HEIGHT - 10}" text-anchor="middle">workspaces</text>`,
  ];
  const paths = drawn.map(({ style, points: own }) => {
    const places = own
      .toSorted((one, other) => one.workspaces - other.workspaces)
      .map(({ workspaces, ms }) => [round(horizontal.at(workspaces)), round(vertical.at(ms))] as const);
    const dots = places.map(([x, y]) => `<circle class="${style} dot" cx="${x}" cy="${y}" r="3"/>`);
    return [
      `<polyline class="${style} line" points="${places.map((place) => place.join(",")).join(" ")}"/>`,
      ...dots,
    ].join("\n");
  });
  const ends = drawn.map(({ name, style, points: own }) => {
    const last = own.toSorted((one, other) => one.workspaces - other.workspaces).at(-1)!;
    return { name, style, x: horizontal.at(last.workspaces) + 8, y: vertical.at(last.ms) + 4 };
  });
  const names = apart(ends).map(
    ({ name, style, x, y }) =>
      `<text class="${style} name" x="${round(x)}" y="${round(y)}">${escapeXml(name)}</text>`,
  );
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" width="${WIDTH}" height="${HEIGHT}" role="img" aria-label="${escapeXml(title)}">`,
    `<style>${STYLE}\n</style>`,
    `<text class="title" x="${PLOT.left}" y="24">${escapeXml(title)}</text>`,
    ...grid,
    ...paths,
    ...names,
    "</svg>\n",
  ].join("\n");
}

interface Scale {
  /** Powers of ten, from the one below the least value to the one above the greatest. */
  readonly ticks: readonly number[];
  at(value: number): number;
}

function scaleOf(values: readonly number[], from: number, to: number): Scale {
  const first = Math.floor(Math.log10(Math.min(...values)) + 1e-9);
  const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(...values)) - 1e-9));
  return {
    ticks: Array.from({ length: last - first + 1 }, (_, step) => 10 ** (first + step)),
    at: (value) => from + ((Math.log10(value) - first) / (last - first)) * (to - from),
  };
}

/** Pushes names down until none covers another that begins nearby. */
function apart<T extends { readonly x: number; readonly y: number }>(labels: readonly T[]): T[] {
  const placed: T[] = [];
  for (const label of labels.toSorted((one, other) => one.y - other.y)) {
    const above = placed.filter(({ x }) => Math.abs(x - label.x) < 150);
    const y = Math.max(label.y, ...above.map((other) => other.y + LABEL_PIXELS));
    placed.push({ ...label, y });
  }
  return placed;
}

const timeText = (ms: number): string => (ms >= 1_000 ? `${ms / 1_000} s` : `${ms} ms`);
const round = (pixels: number): number => Math.round(pixels * 10) / 10;
const escapeXml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
