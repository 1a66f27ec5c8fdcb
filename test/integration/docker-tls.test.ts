// An Engine over TCP with mutual TLS, as DOCKER_TLS_VERIFY and DOCKER_CERT_PATH ask for.
//
// Method: an HTTPS server that demands a client certificate, with an authority made for this test.
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type Certificates, makeCertificates } from "../../dev/services/certificates.ts";
import { openScope, type Scope } from "../../dev/services/scope.ts";
import { createDockerEngine, createDockerEvents } from "../../src/adapters/docker.ts";
import { deadline, listenTo, realClock } from "../contract/engine-support.ts";

let scope: Scope;
let certificates: Certificates;
let cert: string;
let key: string;
let server: Bun.Server<undefined>;

const VERSION = { ApiVersion: "1.41", MinAPIVersion: "1.12", Version: "20.10.24" };

beforeAll(async () => {
  scope = await openScope("tls");
  certificates = await makeCertificates(scope.folder);
  cert = await Bun.file(certificates.certPath).text();
  key = await Bun.file(certificates.keyPath).text();
  server = Bun.serve({
    port: 0,
    hostname: "127.0.0.1",
    tls: { ca: certificates.ca, cert, key, requestCert: true, rejectUnauthorized: true },
    fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/version") return Response.json(VERSION);
      if (pathname.endsWith("/events")) {
        // Headers are sent with the first byte of the body.
        return new Response(new ReadableStream({ start: (controller) => controller.enqueue("\n") }));
      }
      return Response.json([]);
    },
  });
});
afterAll(async () => {
  await server?.stop(true);
  await scope?.stop();
});

const engine = (tls: { ca: string | null; cert: string | null; key: string | null; verify: boolean }) =>
  createDockerEngine({ endpoint: { kind: "tcp", url: `https://127.0.0.1:${server.port}`, tls } });
const list = (tls: Parameters<typeof engine>[0]) => engine(tls).listAll("ws-", { signal: deadline() });

test("with the authority and a certificate of its own it lists", async () => {
  expect((await list({ ca: certificates.ca, cert, key, verify: true })).byWorkspace.size).toBe(0);
});

test("without verification it needs no authority", async () => {
  expect((await list({ ca: null, cert, key, verify: false })).byWorkspace.size).toBe(0);
});

test("an authority that isn't the server's, and no certificate, are refused by name", async () => {
  await expect(list({ ca: null, cert, key, verify: true })).rejects.toThrow(
    /^Cannot list containers: TLS with https:.* failed \(.*\): check ca\.pem, cert\.pem and key\.pem/,
  );
  await expect(list({ ca: certificates.ca, cert: null, key: null, verify: true })).rejects.toThrow(
    /^Cannot list containers: /,
  );
});

test("events come the same way", async () => {
  const ear = listenTo(
    createDockerEvents({
      endpoint: {
        kind: "tcp",
        url: `https://127.0.0.1:${server.port}`,
        tls: { ca: certificates.ca, cert, key, verify: true },
      },
      prefix: "ws-",
      clock: realClock,
      random: Math.random,
    }),
  );
  await ear.heard({ ups: 1 });
  await ear.stop();
  expect(ear.downs).toEqual([]);
});
