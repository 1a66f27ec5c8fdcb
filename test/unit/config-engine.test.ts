/**
 * Goal: DOCKER_HOST and its companions mean what they mean to the docker CLI.
 * Method: tables of environments, on certificate files that exist in memory only.
 */
import { describe, expect, test } from "bun:test";
import type { EngineConfig, Environment } from "../../src/config.ts";
import { type Files, load, problemsOf } from "./config-support.ts";

const CERT = "-----BEGIN CERTIFICATE-----\nc\n-----END CERTIFICATE-----\n";
const KEY = "-----BEGIN EC PRIVATE KEY-----\nk\n-----END EC PRIVATE KEY-----\n";
const certificates = (folder: string): Files => ({
  [`${folder}/ca.pem`]: CERT,
  [`${folder}/cert.pem`]: CERT,
  [`${folder}/key.pem`]: KEY,
});
const files = {
  ...certificates("/certs"),
  ...certificates("/root/.docker"),
  ...certificates("/bad"),
  "/bad/key.pem": "x",
};
const tls = { ca: CERT, cert: CERT, key: KEY, verify: true };

describe("DOCKER_HOST", () => {
  const good: [Environment, EngineConfig][] = [
    [{}, { kind: "unix", socketPath: "/var/run/docker.sock" }],
    [{ DOCKER_HOST: "unix:///run/my%20dir/d.sock" }, { kind: "unix", socketPath: "/run/my dir/d.sock" }],
    [
      { DOCKER_HOST: "unix:///d.sock", DOCKER_TLS_VERIFY: "1" },
      { kind: "unix", socketPath: "/d.sock" },
    ],
    [{ DOCKER_HOST: "tcp://engine" }, { kind: "tcp", url: "http://engine:2375", tls: null }],
    [{ DOCKER_HOST: "http://[::1]:80/" }, { kind: "tcp", url: "http://[::1]:80", tls: null }],
    [{ DOCKER_HOST: "https://engine" }, { kind: "tcp", url: "https://engine:2376", tls: null }],
    [
      { DOCKER_HOST: "tcp://e", DOCKER_CERT_PATH: "/certs" },
      { kind: "tcp", url: "http://e:2375", tls: null },
    ],
    [
      { DOCKER_HOST: "tcp://e", DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: "/certs/" },
      { kind: "tcp", url: "https://e:2376", tls },
    ],
    [
      { DOCKER_HOST: "tcp://e:1", DOCKER_TLS_VERIFY: "1", HOME: "/root" },
      { kind: "tcp", url: "https://e:1", tls },
    ],
    [
      { DOCKER_HOST: "tcp://e", DOCKER_TLS: "1", HOME: "/root" },
      { kind: "tcp", url: "https://e:2376", tls: { ...tls, verify: false } },
    ],
  ];
  test.each(good)("%j", (env, config) => {
    expect(load(env, files)).toMatchObject({ engines: [{ host: null, endpoint: config }], warnings: [] });
  });

  test("any value turns TLS on, which is said where it can't be meant", () => {
    const config = load({ DOCKER_HOST: "tcp://e", DOCKER_TLS_VERIFY: "0", HOME: "/root" }, files);
    expect(config.engines[0]?.endpoint).toMatchObject({ tls: { verify: true } });
    expect(config.warnings).toEqual([
      'DOCKER_TLS_VERIFY is "0", and any value turns TLS on, as with the docker CLI; unset it for none',
    ]);
  });

  const bad: [Environment, string][] = [
    [
      { DOCKER_HOST: "ssh://me@engine" },
      'DOCKER_HOST cannot be used: ssh:// is not supported; forward the socket with ssh -L and use unix:// (got "ssh://***@engine")',
    ],
    [
      { DOCKER_HOST: "npipe:////./pipe/docker_engine" },
      'DOCKER_HOST cannot be used: named pipes exist on Windows only, which is not supported (got "npipe:////./pipe/docker_engine")',
    ],
    [
      { DOCKER_HOST: "/var/run/docker.sock" },
      'DOCKER_HOST must start with unix://, tcp://, http:// or https://, not "/var/run/docker.sock"; for a socket write unix:// before its path',
    ],
    [
      { DOCKER_HOST: "unix://docker.sock" },
      'DOCKER_HOST has no absolute path; a socket is written unix:///path, with three slashes (got "unix://docker.sock")',
    ],
    [
      { DOCKER_HOST: `unix:///${"d".repeat(107)}` },
      `DOCKER_HOST has a socket path longer than 107 bytes (got "unix:///${"d".repeat(107)}")`,
    ],
    [{ DOCKER_HOST: "tcp://:2375" }, 'DOCKER_HOST has no host (got "tcp://:2375")'],
    [{ DOCKER_HOST: "tcp://e/v1.41" }, 'DOCKER_HOST must not have a path (got "tcp://e/v1.41")'],
    [{ DOCKER_HOST: "tcp://e?x=1" }, 'DOCKER_HOST must not have parameters (got "tcp://e?x=***")'],
    [
      { DOCKER_HOST: "https://me:pw@e" },
      'DOCKER_HOST must not have a user or password (got "https://me:***@e")',
    ],
    [
      { DOCKER_HOST: "http://e", DOCKER_TLS: "1", HOME: "/root" },
      'DOCKER_HOST says http://, and DOCKER_TLS_VERIFY or DOCKER_TLS asks for TLS; keep one of them (got "http://e")',
    ],
    [
      { DOCKER_HOST: "tcp://e", DOCKER_TLS_VERIFY: "1" },
      "DOCKER_CERT_PATH is missing: TLS is asked for, and without HOME there is no ~/.docker",
    ],
    [
      { DOCKER_HOST: "tcp://e", DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: "/bad" },
      'DOCKER_CERT_PATH cannot be used: the file "/bad/key.pem" is not in PEM form',
    ],
  ];
  test.each(bad)("%j: %s", (env, problem) => {
    expect(problemsOf(env, files)).toEqual([problem]);
  });

  test("every missing certificate is named", () => {
    const env = { DOCKER_HOST: "tcp://e", DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: "/none" };
    expect(problemsOf(env, files)).toEqual(
      ["ca", "cert", "key"].map(
        (name) => `DOCKER_CERT_PATH cannot be used: the file "/none/${name}.pem" does not exist`,
      ),
    );
  });
});
