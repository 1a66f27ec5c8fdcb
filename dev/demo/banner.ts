// What the demo says about itself, on a terminal with a little weight.
import { existsSync } from "node:fs";
import { join, relative } from "node:path";
import { searchPath } from "../services/process.ts";
import type { DemoDatabase } from "./database.ts";
import type { RealEngine, SimulatedEngine } from "./engine.ts";

const isPlain = process.stdout.isTTY !== true || Boolean(process.env.NO_COLOR);
const bold = (text: string): string => (isPlain ? text : `\x1b[1m${text}\x1b[0m`);

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function engineNotice(engine: RealEngine | SimulatedEngine): string {
  if (engine.kind === "simulated") {
    return [
      bold("!! THE DOCKER ENGINE IS SIMULATED: none of the containers below exist."),
      `!! ${engine.reason}`,
      "!! With a Docker Engine that you may use (see DOCKER_HOST) the demo looks at that one.",
    ].join("\n");
  }
  const count = engine.workspaceIds.length;
  return `Looks at the Docker Engine of this machine (${engine.description}) and changes nothing on it.
Made a row for each workspace found there (${count}) and one for "hello".`;
}

/** How to look, and what to try. */
export function banner(
  engine: RealEngine | SimulatedEngine,
  database: DemoDatabase,
  statusUrl: string,
): string {
  const lines = [
    "",
    bold("Ready. The Observer writes down what exists."),
    "",
    `  rows     ${rowsCommand(database.url)}`,
    `  status   ${statusUrl}/status    curl ${statusUrl}/status`,
    `  page     ${statusUrl}/`,
    ...(engine.kind === "real"
      ? [
          "  try      docker run -d --name ws-hello -v ws-hello-home:/home busybox sleep 600",
          "           docker kill ws-hello",
          "           docker rm -f ws-hello; docker volume rm ws-hello-home",
        ]
      : []),
    "  end      Ctrl-C; nothing is left behind",
    "",
  ];
  return lines.join("\n");
}

/** A command that shows the rows, with what this machine has. */
function rowsCommand(url: string): string {
  if (
    searchPath()
      .split(":")
      .some((folder) => existsSync(join(folder, "psql")))
  ) {
    return `psql "${url}" -c "table overview"\n           (whole: -c "table workspaces")`;
  }
  const script = relative(process.cwd(), join(import.meta.dir, "rows.ts"));
  return `psql is not installed here; this shows them too:\n           npx bun ${script} "${url}"\n           (any PostgreSQL client will do: ${url})`;
}
