/** What the tests of the configuration share: a host that is always the same, and files that exist only here. */
import { type Config, ConfigError, type Environment, loadConfig } from "../../src/config.ts";

export const host = { hostname: "vm-3", pid: 4711, user: "sys" } as const;

export const databaseUrl = "postgres://observer:pw@db/platform";

export type Files = Readonly<Record<string, string>>;

/** A path whose text is `!CODE` fails with that code. */
export const readFrom =
  (files: Files) =>
  (path: string): string => {
    const text = files[path] ?? "!ENOENT";
    if (text.startsWith("!")) throw Object.assign(new Error("cannot read"), { code: text.slice(1) });
    return text;
  };

/** With a good DATABASE_URL, unless `env` says otherwise. */
export const load = (env: Environment = {}, files: Files = {}): Config =>
  loadConfig({ DATABASE_URL: databaseUrl, ...env }, readFrom(files), host);

/** Empty if the configuration is good. */
export function problemsOf(env: Environment, files: Files = {}): readonly string[] {
  try {
    load(env, files);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}
