// The commands in the documentation: every line of a block of `sh`, and who runs it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";

export const root = join(import.meta.dir, "..");

export interface DocumentedCommand {
  readonly page: string;
  /** Lines of one block belong together. */
  readonly block: number;
  /** Without the comment after it; continued lines are one. */
  readonly text: string;
}

export function documentedCommands(): DocumentedCommand[] {
  const pages = ["*.md", "docs/**/*.md", "packaging/**/*.md"].flatMap((pattern) => [
    ...new Glob(pattern).scanSync(root),
  ]);
  return pages.flatMap((page) =>
    [...readFileSync(join(root, page), "utf8").matchAll(/^ *```sh\n([\s\S]*?)^ *```/gm)].flatMap(
      ([, lines], block) =>
        lines!
          .replaceAll(/ *\\\n */g, " ")
          .split("\n")
          .map((line) => line.replace(/(^|\s+)#.*$/, "").trim())
          .filter((text) => text !== "")
          .map((text) => ({ page, block, text })),
    ),
  );
}

/** Run word for word by test/e2e/docs-commands.test.ts. */
export const RUN_BY_E2E: readonly string[] = [
  'observer schema --role observer | psql "$OWNER_URL"',
  "observer check",
  "observer run",
  "observer schema --role observer | psql platform",
  "psql \"$OWNER_URL\" -c '\\password observer'",
  "psql platform -c '\\password observer'",
  "observer status",
  "observer accept engine",
  "observer explain 7f3c",
];

/** Not run as they stand. Why, and which file of the repository does the same. */
export const NOT_RUN: readonly { readonly command: RegExp; readonly why: string; readonly see: string }[] = [
  { command: /^npm start$/, why: "runs until Ctrl-C", see: "test/e2e/demo.test.ts" },
  { command: /^npm test$/, why: "it is what runs the tests", see: "dev/test.ts" },
  {
    command: /^npx bun@\S+ (install --frozen-lockfile|run build)$/,
    why: "needs the package registry; npm test begins with the one, and its build is the other",
    see: "dev/test.ts",
  },
  {
    command: /^npx bun@\S+ (install --frozen-lockfile && npx bun@\S+ )?run package$/,
    why: "needs the package registry, and takes half a minute",
    see: "dev/package.ts",
  },
  {
    command: /^sudo apt install \S+_amd64\.deb$/,
    why: "changes the machine; dpkg does it in a root folder of its own, and apt in a fresh Debian",
    see: "test/e2e/package.test.ts",
  },
  {
    command: /^(sudoedit|cp|install -D -m 640) \S*.*observer\.(env|service)/,
    why: "changes the machine; the files are checked",
    see: "test/integration/systemd-unit.test.ts",
  },
  {
    command: /^(sudo )?systemctl (daemon-reload|enable --now observer)$/,
    why: "needs a service manager; what it asks and is told is tested with a socket in its place",
    see: "test/e2e/observer-systemd.test.ts",
  },
  {
    command:
      /^systemd-run --pipe --wait .*\/usr\/bin\/observer check$|^sudo -u observer -g docker observer check$/,
    why: "needs a service manager, or the user of an installation; the command in it is run",
    see: "test/e2e/docs-commands.test.ts",
  },
  {
    command: /^bun run docs$/,
    why: "writes into the checkout; its result is compared",
    see: "test/unit/config-docs.test.ts",
  },
  {
    command: /^bun dev\/page-picture\.ts URL$/,
    why: "wants an endpoint to show",
    see: "dev/page-picture.ts",
  },
  {
    command: /^observer status (--watch|--url \S+)$/,
    why: "runs until Ctrl-C, or wants an instance elsewhere",
    see: "test/e2e/observer-status.test.ts",
  },
  {
    command: /^kubectl (apply -k \.|-n workspaces exec deploy\/observer -- \/observer check)$/,
    why: "needs a cluster with nodes; the manifests and the command in it are tested",
    see: "test/unit/packaging-kubernetes.test.ts",
  },
  {
    command: /^OBSERVER_ENGINE=kubernetes KUBECONFIG=\S+ observer check$/,
    why: "needs an API server where that file says; the same is run on a simulated one",
    see: "test/e2e/observer-kubernetes.test.ts",
  },
  {
    command: /^bun run test:kubernetes$/,
    why: "it is part of npm test where it is quick",
    see: "dev/test.ts",
  },
  {
    command: /^observer forget host vm-17( --yes)?$/,
    why: "wants a fleet",
    see: "test/e2e/observer-fleet.test.ts",
  },
  { command: /^bun run test:quick$/, why: "it is part of npm test", see: "dev/test.ts" },
  {
    command: /^bun run format$/,
    why: "writes into the checkout; npm test checks the same",
    see: "dev/test.ts",
  },
  { command: /^bun run build$/, why: "npm test does", see: "dev/test.ts" },
  { command: /^bun run dev:services$/, why: "runs until Ctrl-C", see: "dev/services/selfcheck.ts" },
  {
    command: /^bun run bench --(check|write)$/,
    why: "takes minutes, and means nothing on a busy machine",
    see: "test/unit/bench-check.test.ts",
  },
  {
    command: /^bun run bench:fleet --write$/,
    why: "takes ten minutes; a quick one of few hosts is run",
    see: "test/integration/bench-fleet.test.ts",
  },
  {
    command: /^docker build -f Containerfile -t observer --build-arg \S+( \S+)* \.$/,
    why: "needs an image of a registry; the Containerfile is built from one that is made here",
    see: "test/e2e/image-build.ts",
  },
  {
    command: /^docker run --detach --name observer /,
    why: "needs the docker command; the same is asked of the Engine's API",
    see: "test/e2e/image.test.ts",
  },
];

/** `A=b C=d`, with `export` before it or not. */
export function settingsOf(text: string): Record<string, string> | null {
  const words = text.replace(/^export /, "").split(" ");
  if (!words.every((word) => /^[A-Z][A-Z0-9_]*=\S+$/.test(word))) return null;
  return Object.fromEntries(words.map((word) => word.split(/=(.*)/s) as [string, string]));
}
