// Goal: sslmode means what libpq means by it: what is verified is refused when it is wrong, and what isn't is used.
// Method: a private server with a certificate for 127.0.0.1 and localhost, signed by an authority of its own.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Certificates, makeCertificates } from "../../dev/services/certificates.ts";
import { type Postgres, startPostgres } from "../../dev/services/postgres.ts";
import { giveToUnprivileged } from "../../dev/services/privileges.ts";
import { openScope, type Scope } from "../../dev/services/scope.ts";
import { PostgresClient, type PostgresOptions } from "../../src/adapters/postgres-client.ts";
import { deadline } from "../contract/engine-support.ts";
import { optionsOf } from "../contract/store-support.ts";

let scope: Scope;
let certificates: Certificates;
let stranger: Certificates;
let server: Postgres;

beforeAll(async () => {
  scope = openScope("pgtls");
  certificates = await makeCertificates(scope.folder);
  const other = openScope("pgtls");
  stranger = await makeCertificates(other.folder);
  await other.stop();
  await giveToUnprivileged(scope.folder);
  server = await startPostgres({
    version: 18,
    settings: { ssl: "on", ssl_cert_file: certificates.certPath, ssl_key_file: certificates.keyPath },
  });
}, 60_000);
afterAll(async () => {
  await server?.stop();
  await scope?.stop();
});

/** Is the connection encrypted? Rejects when there is none. */
async function isEncrypted(changes: Partial<PostgresOptions>): Promise<boolean> {
  const client = new PostgresClient(optionsOf(server, changes));
  try {
    const [row] = await client.statement(
      "Cannot ask",
      deadline(),
      (sql) => sql`select ssl from pg_stat_ssl where pid = pg_backend_pid()`,
    );
    return row?.ssl as boolean;
  } finally {
    await client.close();
  }
}

const byName = () => ({ hosts: [{ host: "localhost", port: server.port }] });

test("disable, prefer and require, without an authority", async () => {
  expect(await isEncrypted({ tls: "disable" })).toBe(false);
  expect(await isEncrypted({ tls: "prefer" })).toBe(true);
  expect(await isEncrypted({ tls: "require" })).toBe(true);
});

test("verify-full, by name and by address", async () => {
  const trusted = { tls: "verify-full", tlsRootCertificate: certificates.ca } as const;
  expect(await isEncrypted({ ...trusted, ...byName() })).toBe(true);
  expect(await isEncrypted(trusted)).toBe(true);
});

test.each(["require", "verify-ca", "verify-full"] as const)(
  "%s with another authority is refused, and the message says what to do",
  async (tls) => {
    await expect(isEncrypted({ tls, tlsRootCertificate: stranger.ca })).rejects.toThrow(
      /^Cannot ask: PostgreSQL cannot be reached: .*; nobody whom this machine trusts has signed the certificate: set sslrootcert in DATABASE_URL$/,
    );
  },
);

test.each(["verify-ca", "verify-full"] as const)(
  "%s without an authority trusts the system's alone",
  async (tls) => {
    await expect(isEncrypted({ tls })).rejects.toThrow("set sslrootcert in DATABASE_URL");
  },
);

test("the host's name is checked by verify-full, and by nothing less", async () => {
  const all = await startPostgres({
    version: 18,
    settings: {
      listen_addresses: "127.0.0.1,127.0.0.2",
      ssl: "on",
      ssl_cert_file: certificates.certPath,
      ssl_key_file: certificates.keyPath,
    },
  });
  try {
    const hosts = [{ host: "127.0.0.2", port: all.port }];
    const tlsRootCertificate = certificates.ca;
    expect(await isEncrypted({ hosts, tls: "require", tlsRootCertificate })).toBe(true);
    expect(await isEncrypted({ hosts, tls: "verify-ca", tlsRootCertificate })).toBe(true);
    await expect(isEncrypted({ hosts, tls: "verify-full", tlsRootCertificate })).rejects.toThrow(
      "the certificate is for another host: correct the host in DATABASE_URL, or use sslmode=verify-ca",
    );
  } finally {
    await all.stop();
  }
}, 30_000);
