/**
 * Goal: OBSERVER_ENGINES names hosts and their Engines, each with its certificates, and what can't be meant is refused by name.
 * Method: tables of environments, on certificate files that exist in memory only.
 */
import { describe, expect, test } from "bun:test";
import type { Environment } from "../../src/config.ts";
import { type Files, load, problemsOf } from "./config-support.ts";

const pem = (what: string, text: string) => `-----BEGIN ${what}-----\n${text}\n-----END ${what}-----\n`;
const certificates = (folder: string, text: string): Files => ({
  [`${folder}/ca.pem`]: pem("CERTIFICATE", text),
  [`${folder}/cert.pem`]: pem("CERTIFICATE", text),
  [`${folder}/key.pem`]: pem("EC PRIVATE KEY", text),
});
const files = { ...certificates("/certs", "all"), ...certificates("/certs/vm-2", "two") };
const engines = (list: string, more: Environment = {}): Environment => ({ OBSERVER_ENGINES: list, ...more });
const TLS = { DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: "/certs/" };

describe("OBSERVER_ENGINES", () => {
  test("names each host's Engine, in this order", () => {
    const config = load(engines("vm-1=unix:///run/a%2Cb.sock, vm-2 = tcp://10.0.0.2 ,vm.3=http://[::1]:80"));
    expect(config).toMatchObject({
      engines: [
        { host: "vm-1", endpoint: { kind: "unix", socketPath: "/run/a,b.sock" } },
        { host: "vm-2", endpoint: { kind: "tcp", url: "http://10.0.0.2:2375", tls: null } },
        { host: "vm.3", endpoint: { kind: "tcp", url: "http://[::1]:80", tls: null } },
      ],
      fleet: { lostAfterMs: 60_000 },
      warnings: [],
    });
  });

  test("one host is OBSERVER_HOST with DOCKER_HOST", () => {
    const one = load(engines("vm-1=tcp://e:1"));
    expect(one).toEqual(load({ OBSERVER_HOST: "vm-1", DOCKER_HOST: "tcp://e:1" }));
  });

  test("TLS is for all that are reached by tcp; a folder of a host's own wins over the common one", () => {
    const { engines: read } = load(engines("vm-1=tcp://a,vm-2=tcp://b,vm-3=unix:///c", TLS), files);
    const keys = read.map(({ endpoint }) => (endpoint.kind === "tcp" ? endpoint.tls?.key : null));
    expect(keys).toEqual([pem("EC PRIVATE KEY", "all"), pem("EC PRIVATE KEY", "two"), null]);
    expect(read[1]?.endpoint).toMatchObject({ url: "https://b:2376", tls: { verify: true } });
  });

  test("what lies in a host's own folder is not made whole from the common one; a common fault is told once", () => {
    const partly = { ...certificates("/certs", "all"), "/certs/vm-2/key.pem": "!EACCES" };
    expect(problemsOf(engines("vm-1=tcp://a,vm-2=tcp://b", TLS), partly)).toEqual([
      'DOCKER_CERT_PATH cannot be used: the file "/certs/vm-2/ca.pem" does not exist',
      'DOCKER_CERT_PATH cannot be used: the file "/certs/vm-2/cert.pem" does not exist',
      'DOCKER_CERT_PATH cannot be used: the file "/certs/vm-2/key.pem" may not be read by this user',
    ]);
    expect(problemsOf(engines("vm-1=tcp://a,vm-2=tcp://b", TLS), {})).toHaveLength(3);
    expect(problemsOf(engines("vm-1=tcp://a,vm-2=tcp://b", { DOCKER_TLS: "1" }))).toEqual([
      "DOCKER_CERT_PATH is missing: TLS is asked for, and without HOME there is no ~/.docker",
    ]);
  });

  const bad: [Environment, string[]][] = [
    [engines(""), ["OBSERVER_ENGINES must not be empty"]],
    [engines("vm-1=unix:///a,"), ["OBSERVER_ENGINES has nothing before or after one of its commas"]],
    [engines("unix:///a"), ['OBSERVER_ENGINES must be HOST=ENGINE, and "unix:///a" has no host']],
    [
      engines("tcp://me:secret@e"),
      ['OBSERVER_ENGINES must be HOST=ENGINE, and "tcp://me:***@e" has no host'],
    ],
    [
      engines("=unix:///a"),
      ["OBSERVER_ENGINES must name each host by up to 100 letters, digits, _, . and -"],
    ],
    [engines("tcp://me:pw@e?x=1"), ["OBSERVER_ENGINES must name each host by"]],
    [engines("a/b=unix:///a"), ["OBSERVER_ENGINES must name each host by"]],
    [engines("vm-1=unix:///a,vm-1=unix:///b"), ["OBSERVER_ENGINES names the host vm-1 twice"]],
    [engines("a=unix:///s,b=unix:///s"), ["OBSERVER_ENGINES names one Engine for two hosts, a and b"]],
    [engines("a=tcp://e:2375,b=tcp://e"), ["OBSERVER_ENGINES names one Engine for two hosts, a and b"]],
    [
      engines("a=ssh://e,b=/run/b.sock,c=tcp://e/v1"),
      [
        "OBSERVER_ENGINES of a cannot be used: ssh:// is not supported",
        "OBSERVER_ENGINES of b must start with unix://, tcp://, http:// or https://, not",
        'OBSERVER_ENGINES of c must not have a path (got "tcp://e/v1")',
      ],
    ],
    [
      engines("a=unix:///a", { OBSERVER_HOST: "a", DOCKER_HOST: "unix:///a" }),
      ["OBSERVER_ENGINES and OBSERVER_HOST are both set", "OBSERVER_ENGINES and DOCKER_HOST are both set"],
    ],
    [engines("a=unix:///a", { OBSERVER_ENGINE: "kubernetes" }), ["OBSERVER_ENGINES is for Docker Engines"]],
    [
      engines(Array.from({ length: 33 }, (_, n) => `h${n}=unix:///${n}`).join()),
      ["OBSERVER_ENGINES must name at most 32 Engines, not 33"],
    ],
    [
      engines("a=unix:///a", { OBSERVER_HOST_LOST_AFTER: "19s" }),
      ["OBSERVER_HOST_LOST_AFTER must be at least twice OBSERVER_IDLE_INTERVAL"],
    ],
  ];
  test.each(bad)("%j is refused", (env, expected) => {
    const problems = problemsOf(env, files);
    expect(problems).toHaveLength(expected.length);
    for (const [n, start] of expected.entries()) expect(problems[n]).toStartWith(start);
    expect(problems.join()).not.toMatch(/secret|me:pw/);
  });
});
