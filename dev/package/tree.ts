/** Which file of the checkout goes where on a machine: what the package and the tarball hold. */
import { chmodSync, copyFileSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { runTool } from "./tool.ts";

const root = join(import.meta.dir, "../..");
const DOC = "usr/share/doc/observer";

export interface TreeOptions {
  readonly executable: string;
  /** The bill of materials, as text. */
  readonly sbom: string;
}

/** Fills an empty folder with everything but what belongs to a package manager. */
export function fillTree(folder: string, { executable, sbom }: TreeOptions): void {
  const put = (path: string, mode: number, content: string | Uint8Array): void => {
    const at = join(folder, path);
    mkdirSync(dirname(at), { recursive: true, mode: 0o755 });
    writeFileSync(at, content);
    // Whatever the umask is.
    chmodSync(at, mode);
  };
  const copy = (from: string, path: string, mode = 0o644) => put(path, mode, readFileSync(join(root, from)));

  mkdirSync(join(folder, "usr/bin"), { recursive: true, mode: 0o755 });
  copyFileSync(executable, join(folder, "usr/bin/observer"));
  chmodSync(join(folder, "usr/bin/observer"), 0o755);
  copy("packaging/systemd/observer.service", "usr/lib/systemd/system/observer.service");
  copy("packaging/systemd/observer.service.d/backoff.conf", "usr/share/observer/backoff.conf");
  copy("packaging/observer.env", "etc/observer/observer.env", 0o640);
  // The pages are beside them there.
  for (const name of ["LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md"])
    put(`${DOC}/${name}`, 0o644, readFileSync(join(root, name), "utf8").replaceAll("](docs/", "]("));
  for (const name of readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md")))
    copy(`docs/${name}`, `${DOC}/${name}`);
  put(`${DOC}/sbom.cdx.json`, 0o644, sbom);
  const page = readFileSync(join(root, "packaging/man/observer.1"));
  put("usr/share/man/man1/observer.1.gz", 0o644, Bun.gzipSync(page, { level: 9 }));
  for (const [shell, path] of COMPLETIONS) put(path, 0o644, completionOf(shell));
  for (const name of ["prometheus/alerts.yml", "prometheus/scrape.yml", "grafana/observer.json"])
    copy(`packaging/${name}`, `usr/share/observer/${name}`);
}

const COMPLETIONS = [
  ["bash", "usr/share/bash-completion/completions/observer"],
  ["zsh", "usr/share/zsh/vendor-completions/_observer"],
  ["fish", "usr/share/fish/vendor_completions.d/observer.fish"],
] as const;

/** Of the program as it stands in the checkout: the executable may be for another machine. */
const completionOf = (shell: string): string =>
  runTool([process.execPath, join(root, "src/main.ts"), "completion", shell]);
