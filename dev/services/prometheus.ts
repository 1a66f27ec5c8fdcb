// A private Prometheus that scrapes what it is told to, several times a second, and answers queries.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { freePort } from "./ports.ts";
import { searchPath, startDaemon } from "./process.ts";
import { inScope } from "./scope.ts";

export interface PrometheusOptions {
  readonly job: string;
  /** `127.0.0.1:9464`. */
  readonly targets: readonly string[];
  /** Sent as `Authorization: Bearer`. */
  readonly token: string;
  readonly scrapeIntervalMs: number;
}

/** One series of an instant query's answer. */
export interface QueryResult {
  readonly metric: Readonly<Record<string, string>>;
  /** May be NaN or infinite. */
  readonly value: number;
}

export interface Prometheus {
  readonly folder: string;
  /** Rejects with the server's words where the expression is wrong. */
  query(expr: string): Promise<QueryResult[]>;
  stop(): Promise<void>;
}

/** Of /api/v1/query: numbers are texts, so that they can be `NaN` and `+Inf`. */
type Answer =
  | { readonly status: "error"; readonly error: string }
  | {
      readonly status: "success";
      readonly data: {
        readonly resultType: string;
        readonly result: readonly {
          metric: Record<string, string>;
          value: [atSeconds: number, text: string];
        }[];
      };
    };

const QUERY_DEADLINE_MS = 10_000;

export async function startPrometheus(options: PrometheusOptions): Promise<Prometheus> {
  return await inScope("prometheus", async (scope) => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const config = {
      global: {
        scrape_interval: `${options.scrapeIntervalMs}ms`,
        scrape_timeout: `${options.scrapeIntervalMs}ms`,
      },
      scrape_configs: [
        {
          job_name: options.job,
          authorization: { credentials: options.token },
          static_configs: [{ targets: options.targets }],
        },
      ],
    };
    const path = join(scope.folder, "prometheus.yml");
    // JSON is YAML.
    await writeFile(path, JSON.stringify(config), { mode: 0o600 });
    const get = (at: string) => fetch(`${url}${at}`, { signal: AbortSignal.timeout(QUERY_DEADLINE_MS) });
    await startDaemon(scope, {
      name: "prometheus",
      command: [
        "prometheus",
        `--config.file=${path}`,
        `--storage.tsdb.path=${join(scope.folder, "data")}`,
        `--web.listen-address=${new URL(url).host}`,
        "--log.level=warn",
      ],
      ready: async () => (await get("/-/ready")).ok,
    });
    return {
      folder: scope.folder,
      async query(expr) {
        const answer = (await (
          await get(`/api/v1/query?query=${encodeURIComponent(expr)}`)
        ).json()) as Answer;
        if (answer.status !== "success") throw new Error(`Cannot query ${expr}: ${answer.error}`);
        const { resultType, result } = answer.data;
        if (resultType !== "vector")
          throw new Error(`Cannot use the answer to ${expr}: it is a ${resultType}`);
        return result.map(({ metric, value: [, text] }) => ({
          metric,
          value: Number(text.replace("Inf", "Infinity")),
        }));
      },
      stop: scope.stop,
    };
  });
}

/** What `promtool check metrics` has to say against an exposition; empty when all is well. */
export async function complaintsAbout(exposition: string): Promise<string> {
  const child = Bun.spawn(["promtool", "check", "metrics"], {
    env: { ...process.env, PATH: searchPath() },
    stdin: new Blob([exposition]),
    stdout: "pipe",
    stderr: "pipe",
    timeout: 10_000,
    killSignal: "SIGKILL",
  });
  const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  return `${out}${err}${code === 0 ? "" : `it ended with ${child.signalCode ?? code}`}`;
}
