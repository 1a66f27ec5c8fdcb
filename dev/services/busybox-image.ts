// A root file system of one static binary, as the tar stream that the Engine imports as an image.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";

const BLOCK_BYTES = 512;

/** Debian's busybox-static puts it there; its package busybox puts one there that needs libraries. */
export const BUSYBOX_PATH = "/bin/busybox";

/** Is there a busybox that runs in an empty container? */
export function hasStaticBusybox(): boolean {
  if (!existsSync(BUSYBOX_PATH)) return false;
  const head = readFileSync(BUSYBOX_PATH).subarray(0, 4096).toString("latin1");
  return head.startsWith("\x7fELF") && !head.includes("/ld-");
}

/** /bin/busybox and a link for each of its commands, /tmp, /home, /etc/passwd. */
export function busyboxRootTar(): Uint8Array<ArrayBuffer> {
  const list = spawnSync(BUSYBOX_PATH, ["--list"], { encoding: "utf8" });
  if (list.status !== 0) throw new Error(`Cannot list busybox's commands: ${list.stderr}`);
  const applets = list.stdout.trim().split("\n");
  const entries: Buffer[] = [
    ...["bin/", "etc/", "home/", "proc/", "sys/", "dev/"].map((name) =>
      header(name, { type: "5", mode: 0o755 }),
    ),
    header("tmp/", { type: "5", mode: 0o1777 }),
    ...file("bin/busybox", readFileSync(BUSYBOX_PATH), 0o755),
    ...file("etc/passwd", Buffer.from("root:x:0:0:root:/home:/bin/sh\n"), 0o644),
    ...applets
      .filter((name) => name !== "busybox")
      .map((name) => header(`bin/${name}`, { type: "2", mode: 0o777, link: "busybox" })),
    Buffer.alloc(2 * BLOCK_BYTES),
  ];
  return new Uint8Array(Buffer.concat(entries));
}

function file(name: string, content: Buffer, mode: number): Buffer[] {
  const padding = Buffer.alloc((BLOCK_BYTES - (content.length % BLOCK_BYTES)) % BLOCK_BYTES);
  return [header(name, { type: "0", mode, sizeBytes: content.length }), content, padding];
}

/** One POSIX ustar header. */
function header(
  name: string,
  { type, mode, sizeBytes = 0, link = "" }: { type: string; mode: number; sizeBytes?: number; link?: string },
): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, "0")}\0`;
  block.write(name, 0);
  block.write(octal(mode, 7), 100);
  block.write(octal(0, 7), 108);
  block.write(octal(0, 7), 116);
  block.write(octal(sizeBytes, 11), 124);
  block.write(octal(0, 11), 136);
  block.write("        ", 148);
  block.write(type, 156);
  block.write(link, 157);
  block.write("ustar\x0000", 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return block;
}
