/**
 * The settings of the service, for whoever calls a command beside it: systemd reads this file for the service alone, and
 * `observer status` at night should need no more than its name.
 */
import type { Environment, ReadFile } from "./source.ts";

/** As `packaging/systemd/observer.service` names it. */
export const SERVICE_FILE = "/etc/observer/observer.env";

/** An environment that has one of them says itself which installation is meant. */
const SAYS_WHERE = ["DATABASE_URL", "DATABASE_URL_FILE", "CREDENTIALS_DIRECTORY"];

/**
 * The environment, and behind it what the service's file says, unless the environment names a database itself.
 *
 * @returns `refused`: the file is there, and this user may not read it
 */
export function withServiceFile(
  env: Environment,
  readFile: ReadFile,
): { readonly env: Environment; readonly refused: boolean } {
  if (SAYS_WHERE.some((name) => env[name])) return { env, refused: false };
  try {
    return { env: { ...parseServiceFile(readFile(SERVICE_FILE)), ...env }, refused: false };
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : null;
    return { env, refused: code === "EACCES" || code === "EPERM" };
  }
}

const ASSIGNMENT =
  /^[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*=((?:[ \t]*(?:'[^']*'|"(?:\\[\s\S]|[^"\\])*"))*)[ \t]*((?:\\[\s\S]|[^\\\n])*)$/gm;

/** As systemd reads an `EnvironmentFile=` (systemd.exec(5)): quotes are taken off, backslashes escape, nothing is expanded. */
export function parseServiceFile(text: string): Environment {
  const env: Record<string, string> = {};
  for (const [, name = "", quoted = "", plain = ""] of text.replaceAll("\r\n", "\n").matchAll(ASSIGNMENT)) {
    const parts = [...quoted.matchAll(/'([^']*)'|"((?:\\[\s\S]|[^"\\])*)"/g)].map(
      ([, single, double = ""]) => single ?? double.replace(/\\(?:\n|(["\\`$]))/g, "$1"),
    );
    env[name] = parts.join("") + plain.trimEnd().replace(/\\(?:\n|([\s\S]))/g, "$1");
  }
  return env;
}
