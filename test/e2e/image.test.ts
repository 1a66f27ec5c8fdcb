/**
 * Goal: the Containerfile gives an image that holds the Observer and nothing else, and that works under every
 * restriction: no root, nothing writable, no capability.
 * Method: the whole file is built from the checkout on a private Engine without network; then the image observes that
 * Engine itself, with a real PostgreSQL that it knows by a name from /etc/hosts.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { statSync } from "node:fs";
import { type Docker, startDocker } from "../../dev/services/docker.ts";
import { freePort } from "../../dev/services/ports.ts";
import { type Postgres, startPostgres } from "../../dev/services/postgres.ts";
import { waitFor } from "../../dev/services/wait.ts";
import { schemaDdl } from "../../src/adapters/postgres-schema.ts";
import { buildImage } from "./image-build.ts";

const IMAGE = "observer-under-test";
const COMMIT = "0123456789ab";

let docker: Docker;
let database: Postgres;
let databaseUrl: string;

beforeAll(async () => {
  [docker, database] = await Promise.all([startDocker(), startPostgres({ version: 18 })]);
  databaseUrl = (await database.createDatabase("platform")).replace("127.0.0.1", "database.test");
  await database.query(schemaDdl({ role: "observer", schema: null }), "platform");
  await database.query("insert into workspaces (id) values ('a')", "platform");
  await buildImage(docker, IMAGE, COMMIT);
}, 240_000);

afterAll(async () => {
  await Promise.all([docker?.stop(), database?.stop()]);
});

interface ImageDetails {
  readonly Size: number;
  readonly Config: {
    readonly User: string;
    readonly Entrypoint: string[];
    readonly Cmd: string[];
    readonly StopSignal: string;
    readonly Env: string[] | null;
    readonly Labels: Record<string, string>;
    readonly ExposedPorts: Record<string, unknown>;
  };
}

/** Creates a container of the image with every restriction that there is. Returns its id. */
async function createRestricted(env: readonly string[], command?: readonly string[]): Promise<string> {
  const { Id } = await docker.engine.request<{ Id: string }>("POST", "/containers/create", {
    Image: IMAGE,
    Env: env,
    ...(command && { Cmd: command }),
    // The image's own check, sooner.
    Healthcheck: { Interval: 500_000_000 },
    HostConfig: {
      NetworkMode: "host",
      ReadonlyRootfs: true,
      CapDrop: ["ALL"],
      SecurityOpt: ["no-new-privileges"],
      Binds: [`${docker.socketPath}:/var/run/docker.sock`],
      GroupAdd: [String(statSync(docker.socketPath).gid)],
      ExtraHosts: ["database.test:127.0.0.1"],
    },
  });
  return Id;
}

/** Standard output and error of a container that has ended or still runs. */
async function logsOf(id: string): Promise<string> {
  const response = await fetch(`http://engine/containers/${id}/logs?stdout=1&stderr=1`, {
    unix: docker.socketPath,
  });
  return Buffer.from(await response.arrayBuffer()).toString("latin1");
}

test("the image holds the executable, its libraries and certificates, and says what it is", async () => {
  const { Size, Config } = await docker.engine.request<ImageDetails>("GET", `/images/${IMAGE}/json`);
  console.log(`The image has ${(Size / 1e6).toFixed(1)} MB.`);
  expect(Size).toBeLessThan(150e6);
  expect(Config).toMatchObject({
    User: "65532:65532",
    Entrypoint: ["/observer"],
    Cmd: ["run"],
    StopSignal: "SIGTERM",
    ExposedPorts: { "9464/tcp": {} },
    Labels: { "org.opencontainers.image.revision": COMMIT },
  });

  const id = await createRestricted([]);
  const exported = await fetch(`http://engine/containers/${id}/export`, { unix: docker.socketPath });
  const tar = Buffer.from(await exported.arrayBuffer());
  const files = execFileSync("tar", ["-t"], { input: tar, encoding: "utf8", maxBuffer: 2 ** 20 })
    .split("\n")
    // The Engine adds these, and folders, to every container.
    .filter(
      (name) => name !== "" && !/\/$|^(?:dev|proc|sys)\/|^\.dockerenv$|^etc\/(?:host|resolv|mtab)/.test(name),
    );
  expect(files).toContain("observer");
  expect(files).toContain("etc/ssl/certs/ca-certificates.crt");
  const others = files.filter((name) => !/^(?:usr\/)?lib(?:32|64)?\//.test(name));
  expect(others.sort()).toEqual(["etc/nsswitch.conf", "etc/ssl/certs/ca-certificates.crt", "observer"]);
  await docker.engine.remove(id);
});

test("it names its version and commit without any setting", async () => {
  const id = await createRestricted([], ["--version"]);
  await docker.engine.start(id);
  expect(await docker.engine.waitForExit(id)).toBe(0);
  expect(await logsOf(id)).toContain(COMMIT);
  await docker.engine.remove(id);
});

test("it observes as nobody, on a read-only root, without capabilities, becomes healthy, and ends on SIGTERM", async () => {
  await docker.engine.run({ name: "ws-a", volume: "ws-a-home" });
  const id = await createRestricted([
    `DATABASE_URL=${databaseUrl}`,
    `OBSERVER_LISTEN=127.0.0.1:${await freePort()}`,
  ]);
  await docker.engine.start(id);
  try {
    await waitFor("the row to be observed", 30_000, async () => {
      const rows = await database.query(
        'select from workspaces where conditions @> \'{"container":{"running":true},"volume":{"exists":true}}\'',
        "platform",
      );
      return rows.length === 1;
    });
    await docker.engine.waitForHealth(id, "healthy", 30_000);
  } catch (cause) {
    throw new Error(`The image doesn't work. Its log:\n${await logsOf(id)}`, { cause });
  }

  // Within this time, or it is killed and the code is 137.
  await docker.engine.stop(id, 5);
  expect((await docker.engine.inspect(id)).State).toMatchObject({ Status: "exited", ExitCode: 0 });
  expect(await logsOf(id)).toContain("observer.stopped");
});
