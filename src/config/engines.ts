/** Which Engines this process looks after, and whose they are: `OBSERVER_HOST` and `DOCKER_HOST`, or `OBSERVER_ENGINES`. */
import { CERTIFICATES, certificateFolder, readEndpoint, readEngine, readTls } from "./engine.ts";
import { readKubernetes } from "./kubernetes.ts";
import { quote } from "./parse.ts";
import { hostName } from "./settings-own.ts";
import type { ConfigSource } from "./source.ts";
import type { EngineConfig, EngineTls, HostEngine } from "./types.ts";
import { maskUrl } from "./url.ts";

const NAME = "OBSERVER_ENGINES";
/** One that hangs holds five connections (events, two lists, a glance), and the runtime has 256 in all. */
const MOST_ENGINES = 32;

/** Empty where something is wrong; every problem is then in `source`. */
export function readEngines(source: ConfigSource): readonly HostEngine[] {
  const isKubernetes = source.choice("OBSERVER_ENGINE") === "kubernetes";
  const list = source.text(NAME);
  const host = source.word("OBSERVER_HOST");
  if (list === null) {
    const endpoint = isKubernetes ? readKubernetes(source) : readEngine(source);
    return endpoint === null ? [] : [{ host, endpoint }];
  }
  for (const name of ["OBSERVER_HOST", "DOCKER_HOST"] as const)
    if (source.text(name) !== null)
      source.problem(NAME, `and ${name} are both set; ${NAME} names hosts and Engines, so leave ${name} out`);
  if (isKubernetes)
    source.problem(NAME, "is for Docker Engines, and OBSERVER_ENGINE is kubernetes; keep one of them");
  return readList(source, list);
}

function readList(source: ConfigSource, list: string): readonly HostEngine[] {
  const certificates = certificatesOf(source);
  const engines = new Map<string, EngineConfig | null>();
  for (const entry of list.split(",").map((text) => text.trim())) {
    const equals = entry.indexOf("=");
    const host = entry.slice(0, Math.max(equals, 0)).trim();
    const url = entry.slice(equals + 1).trim();
    if (entry === "") source.problem(NAME, "has nothing before or after one of its commas");
    else if (equals < 0) source.problem(NAME, `must be HOST=ENGINE, and ${quote(maskUrl(url))} has no host`);
    else if (!hostName.pattern.test(host))
      source.problem(
        NAME,
        `must name each host by ${hostName.expected}, not ${/[@:/]/.test(host) ? "***" : quote(host)}`,
      );
    else if (engines.has(host)) source.problem(NAME, `names the host ${host} twice`);
    else {
      const problem = (what: string) => source.problem(NAME, `of ${host} ${what}`);
      const endpoint = readEndpoint(source, url, problem, () => certificates(host));
      const other = [...engines].find(
        ([, known]) => endpoint !== null && placeOf(known) === placeOf(endpoint),
      );
      // Each of the two would for ever find all its workspaces to be the other's as well.
      if (other !== undefined)
        source.problem(NAME, `names one Engine for two hosts, ${other[0]} and ${host}`);
      engines.set(host, endpoint);
    }
  }
  if (engines.size > MOST_ENGINES)
    source.problem(NAME, `must name at most ${MOST_ENGINES} Engines, not ${engines.size}`);
  return [...engines].flatMap(([host, endpoint]) => (endpoint === null ? [] : [{ host, endpoint }]));
}

const placeOf = (endpoint: EngineConfig | null): string | null =>
  endpoint === null || endpoint.kind === "kubernetes"
    ? null
    : endpoint.kind === "unix"
      ? endpoint.socketPath
      : endpoint.url;

/** A host's own folder below `DOCKER_CERT_PATH` wins over what lies there for all. Each folder is read, and blamed, once. */
function certificatesOf(source: ConfigSource): (host: string) => EngineTls | null {
  const read = new Map<string | null, EngineTls | null>();
  let common: string | null | undefined;
  return (host) => {
    if (common === undefined) common = certificateFolder(source);
    const own = `${common}/${host}`;
    const hasOwn = common !== null && CERTIFICATES.some((file) => source.hasFile(`${own}/${file}`));
    const folder = hasOwn ? own : common;
    const known = read.get(folder);
    if (known !== undefined) return known;
    const tls = readTls(source, folder);
    read.set(folder, tls);
    return tls;
  };
}
