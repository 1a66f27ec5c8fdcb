/** Which file of the checkout goes where on a machine: what the package and the tarball hold. */
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

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
  for (const name of ["LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md"]) copy(name, `${DOC}/${name}`);
  for (const name of readdirSync(join(root, "docs")).filter((name) => name.endsWith(".md")))
    copy(`docs/${name}`, `${DOC}/${name}`);
  put(`${DOC}/sbom.cdx.json`, 0o644, sbom);
  if (existsSync(join(root, "packaging/observer.1")))
    put(
      "usr/share/man/man1/observer.1.gz",
      0o644,
      Bun.gzipSync(readFileSync(join(root, "packaging/observer.1"))),
    );
  if (existsSync(join(root, "packaging/completion.bash")))
    copy("packaging/completion.bash", "usr/share/bash-completion/completions/observer");
}
