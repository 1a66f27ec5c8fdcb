/**
 * `bun run build`: one executable, `dist/observer`.
 *
 * All is minified but the names of classes and functions: a log that says `DatabaseFault` is worth the bytes. Neither
 * `.env` nor `bunfig.toml` is read at run time: whoever can write the working directory must not run code here.
 */
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import manifest from "../package.json";

const root = join(import.meta.dir, "..");
const { values } = parseArgs({
  options: {
    outfile: { type: "string", default: join(root, "dist/observer") },
    /** The commit that the executable names; a tree without git has to say it. */
    commit: { type: "string" },
    /** A Bun for Linux on arm64 that becomes the executable, instead of the one that runs this. */
    runtime: { type: "string" },
    /** The version that it says it is: the test of a rolling upgrade needs two. */
    "release-version": { type: "string", default: manifest.version },
  },
});

const version = values["release-version"];
const commit = values.commit ?? commitOf(root);
const command = [
  process.execPath,
  "build",
  "--compile",
  "--minify-whitespace",
  "--minify-syntax",
  "--minify-identifiers",
  "--keep-names",
  "--sourcemap",
  "--bytecode",
  "--format=esm",
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
  // Parts of the AWS SDK that are never run here, replaced by next to nothing: 350 kB.
  `--tsconfig-override=${join(root, "dev/left-out/tsconfig.json")}`,
  ...(values.runtime === undefined
    ? []
    : ["--target=bun-linux-arm64", `--compile-executable-path=${values.runtime}`]),
  "--define",
  `OBSERVER_VERSION=${JSON.stringify(version)}`,
  "--define",
  `OBSERVER_COMMIT=${JSON.stringify(commit)}`,
  "--outfile",
  values.outfile,
  join(root, "src/main.ts"),
];
const built = Bun.spawnSync(command, { cwd: root, stdout: "pipe", stderr: "inherit" });
// The source map is inside the executable; the copy beside it is not shipped.
rmSync(`${values.outfile}.map`, { force: true });
rmSync(join(root, "dist/main.js.map"), { force: true });
if (built.exitCode !== 0) {
  process.stderr.write(built.stdout);
  process.exit(1);
}
console.log(
  `${values.outfile}: ${(statSync(values.outfile).size / 1e6).toFixed(1)} MB, ${version} (${commit})`,
);

function commitOf(folder: string): string {
  const git = (...words: string[]) =>
    Bun.spawnSync(["git", "-C", folder, ...words], { stdout: "pipe", stderr: "ignore" })
      .stdout.toString()
      .trim();
  const hash = git("rev-parse", "--short=12", "HEAD");
  if (hash === "") return "unknown";
  return git("status", "--porcelain", "--untracked-files=no") === "" ? hash : `${hash}-dirty`;
}
