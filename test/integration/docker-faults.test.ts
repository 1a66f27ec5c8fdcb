// P1: whatever answers instead of a good Engine, a listing is complete or it rejects by name.
//
// Method: a server that says word for word what each test wants, on a unix socket.
import { afterAll, afterEach, beforeAll, describe, expect, test } from "bun:test";
import type { Socket } from "node:net";
import * as v from "valibot";
import { waitFor } from "../../dev/services/wait.ts";
import { createDockerEngine } from "../../src/adapters/docker.ts";
import { createDockerTransport } from "../../src/adapters/docker-transport.ts";
import { deadline } from "../contract/engine-support.ts";
import {
  CHUNKED,
  chunk,
  containerJson,
  failureOf,
  http,
  ID,
  json,
  type Reply,
  type ScriptedEngine,
  startScriptedEngine,
  versionAnswer,
} from "./docker-scripted-engine.ts";

const volume = { Name: "ws-a-home", Driver: "local" };

let server: ScriptedEngine;
let engine: ReturnType<typeof createDockerEngine>;

const listContainers = () => engine.listAll("ws-", { signal: deadline() });
const listVolumes = () => engine.listVolumes("ws-", { signal: deadline() });

describe("what answers something else", () => {
  beforeAll(async () => {
    server = await startScriptedEngine();
  });
  afterAll(() => server.stop());
  afterEach(() => server.script("/version", versionAnswer()));

  const containersFailure = async (reply: Reply): Promise<string> => {
    engine = createDockerEngine({ endpoint: server.endpoint });
    server.script("/containers/json", reply);
    const { message } = await failureOf(listContainers());
    expect(message).toStartWith("Cannot list containers: ");
    return message;
  };
  const volumesFailure = async (reply: Reply): Promise<string> => {
    engine = createDockerEngine({ endpoint: server.endpoint });
    server.script("/volumes", reply);
    const { message } = await failureOf(listVolumes());
    expect(message).toStartWith("Cannot list volumes: ");
    return message;
  };
  const hangUp = (text: string | Uint8Array) => (socket: Socket) => void socket.end(text);

  test.each([
    ["an SSH server", hangUp("SSH-2.0-OpenSSH_9.2\r\n"), "doesn't speak HTTP"],
    ["a Redis", hangUp("-ERR unknown command 'GET'\r\n"), "doesn't speak HTTP"],
    ["a PostgreSQL", hangUp(Buffer.from("4500000009010203", "hex")), "closed before the answer was complete"],
    ["a server that says nothing", hangUp(""), "somebody else's socket?"],
    ["a web server", http(200, "<html>Hello</html>"), 'not JSON, or not all of it: "<html>Hello</html>"'],
    ["another API", json({ swagger: "2.0" }), "another shape than the Engine API's at ApiVersion"],
    ["a version that is none", json({ ApiVersion: "latest" }), "expected a version such as 1.41"],
  ] as [string, Reply, string][])("somebody else's protocol: %s", async (_, reply, expected) => {
    server.script("/version", reply);
    expect(await containersFailure(json([]))).toContain(expected);
    expect(await volumesFailure(json({ Volumes: [] }))).toContain(expected);
  });

  test("an Engine that is too old, or too new", async () => {
    server.script("/version", versionAnswer("1.40", "1.12", "19.03.15"));
    expect(await containersFailure(json([]))).toBe(
      "Cannot list containers: the Engine is too old: Docker Engine 19.03.15 speaks API 1.40, and at least 1.41 is needed, which is Engine 20.10: upgrade the Engine",
    );
    server.script("/version", versionAnswer("1.99", "1.60", "40.0"));
    expect(await volumesFailure(json({ Volumes: null }))).toContain(
      "speaks API 1.60 to 1.99, and 1.52 is the newest known here: upgrade Observer",
    );
  });

  test("errors of the Engine, and of what stands before it, in their own words", async () => {
    expect(await containersFailure(json({ message: "layer\nlocked" }, 500))).toBe(
      'Cannot list containers: the Engine answered 500 "layer locked": see the Engine\'s own log',
    );
    expect(await volumesFailure(http(503, `<html>${"busy ".repeat(100)}`))).toMatch(
      /^Cannot list volumes: the Engine answered 503 "<html>busy [busy ]+…": see/,
    );
    expect(await containersFailure(http(403, ""))).toContain(
      "answered 403: what stands before the Engine must allow",
    );
    expect(await containersFailure(json({ message: "page not found" }, 404))).toContain(
      "is this a Docker Engine?",
    );
    expect(await containersFailure(json({ message: "a\0b\ud800" }, 500))).toContain('"a\ufffdb\ufffd"');
    expect(await containersFailure(http(500, "x".repeat(1_000_000)))).toContain("xxx…");
  });

  test.each([201, 202, 203, 204, 205, 206])(
    "P1: status %i is not 200, whatever it carries",
    async (status) => {
      const body = status === 204 || status === 205 ? "" : "[]";
      expect(await containersFailure(http(status, body))).toContain(`the Engine answered ${status}`);
    },
  );

  test.each([301, 302, 303, 307, 308])("P1: a redirect (%i) is not followed", async (status) => {
    let followed = 0;
    using elsewhere = Bun.serve({
      port: 0,
      hostname: "127.0.0.1",
      fetch: () => {
        followed += 1;
        return Response.json([]);
      },
    });
    const location = `http://127.0.0.1:${elsewhere.port}/containers/json`;
    expect(await containersFailure(http(status, "[]", { Location: location }))).toContain(
      `the Engine answered ${status}, a redirect to "${location}", which is not followed`,
    );
    expect(followed).toBe(0);
  });

  test.each([
    "",
    " ",
    "\n",
    "null",
    "{}",
    "0",
    '"[]"',
    "true",
    "[null]",
    "[[]]",
    "[{}]",
    "[] []",
    "[]x",
    "<html>",
  ])("P1: status 200 with %p is no listing", async (body) => {
    await containersFailure(http(200, body));
    await volumesFailure(http(200, body));
  });

  test("an empty 200 is called by its name", async () => {
    expect(await containersFailure(http(200, ""))).toContain("the Engine answered 200 with an empty body");
  });

  test.each([
    ["Names left out", { Names: undefined }],
    ["Names a text", { Names: "/ws-a" }],
    ["Names of numbers", { Names: [1] }],
    ["no Id", { Id: undefined }],
    ["an Id that is none", { Id: "../../etc" }],
    ["no State", { State: undefined }],
    ["an empty State", { State: "" }],
    ["State an object", { State: { Status: "running" } }],
    ["no Status", { Status: null }],
    ["Created a text", { Created: "today" }],
    ["no Image", { Image: undefined }],
    ["Health a text", { Health: "healthy" }],
  ])("P1: one container of another shape rejects the listing: %s", async (_, changes) => {
    const message = await containersFailure(
      json([containerJson({ Names: ["/ws-b"] }), containerJson(changes)]),
    );
    expect(message).toContain(`another shape than the Engine API's at 1.${Object.keys(changes)[0]}`);
  });

  test.each([
    ["no Volumes", { Warnings: null }],
    ["Volumes an object", { Volumes: {} }],
    ["a volume without a name", { Volumes: [volume, { Driver: "local" }] }],
    ["a volume without a driver", { Volumes: [{ Name: "ws-a-home" }] }],
    ["Warnings a text", { Volumes: [volume], Warnings: "driver nfs: timed out" }],
  ])("P1: volumes of another shape reject the listing: %s", async (_, answer) => {
    expect(await volumesFailure(json(answer))).toContain("another shape than the Engine API's");
  });

  test("P1: a warning beside volumes means that some are missing", async () => {
    expect(await volumesFailure(json({ Volumes: [volume], Warnings: ["driver nfs: timed out"] }))).toBe(
      'Cannot list volumes: the Engine\'s answer is incomplete, it warns "driver nfs: timed out": see to that volume driver',
    );
    expect(await volumesFailure(json({ Volumes: [], Warnings: [""] }))).toContain("incomplete");
  });

  test("P1: no part of a listing is a listing, however the connection ends", async () => {
    const body = JSON.stringify([
      containerJson(),
      containerJson({ Id: `f${ID.slice(1)}`, Names: ["/ws-b"] }),
    ]);
    for (let length = 0; length < body.length; length += 7) {
      const part = body.slice(0, length);
      await containersFailure(hangUp(`HTTP/1.1 200 OK\r\n\r\n${part}`));
      await containersFailure(hangUp(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${part}`));
      await containersFailure(hangUp(length === 0 ? CHUNKED : CHUNKED + chunk(part)));
    }
    // Valid JSON in itself, but HTTP says that it is not all.
    await containersFailure(hangUp("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[]"));
    await containersFailure(hangUp(CHUNKED + chunk("[]")));
    await volumesFailure(hangUp(CHUNKED + chunk('{"Volumes":[]}')));
  });

  test("P1: a damaged byte rejects the listing rather than change a name", async () => {
    const bytes = Buffer.from(JSON.stringify([containerJson()]));
    bytes[bytes.indexOf("ws-a") + 1] = 0xff;
    expect(await containersFailure(http(200, bytes))).toContain("not JSON");
  });

  test("an answer without an end is cut off at the limit", async () => {
    let connection: Socket | undefined;
    server.script("/containers/json", (socket) => {
      connection = socket;
      const pour = () => {
        while (!socket.destroyed && socket.write(chunk(" ".repeat(65_536))));
        socket.once("drain", pour);
      };
      socket.write(CHUNKED);
      pour();
    });
    const transport = createDockerTransport(server.endpoint, 1_000_000);
    const { message } = await failureOf(transport.getJson("/containers/json", v.unknown(), deadline()));
    expect(message).toContain("longer than 1000000 bytes");
    await waitFor("the connection to be closed", 5_000, () => connection?.destroyed === true);
  });
});
