import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "./process.ts";

export interface Certificates {
  /** PEM text of the authority that signed the server's certificate. */
  readonly ca: string;
  readonly caPath: string;
  readonly certPath: string;
  readonly keyPath: string;
}

/** Makes an authority of its own and a server certificate for 127.0.0.1 and localhost in the folder. */
export async function makeCertificates(folder: string): Promise<Certificates> {
  const at = (name: string) => join(folder, name);
  // A configuration of our own: the machine's may be missing or ask for more.
  await writeFile(at("openssl.cnf"), "[req]\ndistinguished_name = name\n[name]\n");
  const request = (name: string, subject: string, extra: string[]) =>
    runCommand([
      "openssl",
      ...["req", "-config", at("openssl.cnf"), "-x509", "-days", "3650", "-nodes", "-subj", subject],
      ...["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
      ...["-keyout", at(`${name}.key`), "-out", at(`${name}.crt`), ...extra],
    ]);
  await request("ca", "/CN=test authority", [
    ...["-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign"],
  ]);
  await request("server", "/CN=localhost", [
    ...["-CA", at("ca.crt"), "-CAkey", at("ca.key")],
    ...["-addext", "basicConstraints=critical,CA:FALSE"],
    ...["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"],
  ]);
  return {
    ca: await readFile(at("ca.crt"), "utf8"),
    caPath: at("ca.crt"),
    certPath: at("server.crt"),
    keyPath: at("server.key"),
  };
}
