/** Reads the text of settings from the environment and from files of secrets, and collects what is wrong. */
import {
  type Parsed,
  parseChoice,
  parseDuration,
  parseInteger,
  parseRatio,
  parseSwitch,
  quote,
} from "./parse.ts";
import { fileSecretNames, type NameOf, type SettingName, settingOf } from "./settings.ts";
import { maskUrl } from "./url.ts";

export type Environment = Readonly<Record<string, string | undefined>>;
/** Answers a file's text; throws, with a `code` such as ENOENT where the system gives one. */
export type ReadFile = (path: string) => string;

export class ConfigSource {
  readonly problems: string[] = [];
  readonly warnings: string[] = [];
  readonly #wrong = new Set<string>();
  readonly #texts = new Map<SettingName, string | null>();
  readonly #env: Environment;
  readonly #readFile: ReadFile;

  constructor(env: Environment, readFile: ReadFile) {
    this.#env = env;
    this.#readFile = readFile;
  }

  /** `what` follows the name: `must be …`. It may be shown to anyone. */
  problem(name: string, what: string): void {
    this.#wrong.add(name);
    this.problems.push(`${name} ${what}`);
  }

  warn(name: string, what: string): void {
    const warning = `${name} ${what}`;
    if (!this.warnings.includes(warning)) this.warnings.push(warning);
  }

  /** Something was wrong with this setting: what depends on it can't be judged. */
  isWrong(name: SettingName): boolean {
    return this.#wrong.has(name);
  }

  /** What was given, and null if nothing or an empty text was. */
  text(name: SettingName): string | null {
    let text = this.#texts.get(name);
    if (text === undefined) {
      text = fileSecretNames.includes(name) ? this.#secret(name) : this.#plain(name);
      this.#texts.set(name, text);
    }
    return text;
  }

  textOrDefault(name: SettingName): string | null {
    return this.text(name) ?? settingOf(name).default;
  }

  /** The value as a message may show it. */
  shown(name: SettingName, text: string): string {
    const { secret, type } = settingOf(name);
    // Credentials may stand in any URL, and in what was meant to be one; `/a/path` and `host:port` have none.
    if (type.kind === "url" && (secret || !/^[^@:]*(?::\d{1,5})?$/.test(text))) return quote(maskUrl(text));
    return secret ? "***" : quote(text);
  }

  durationMs(name: NameOf<"duration">, fallbackMs = 0): number {
    return this.#value(name, fallbackMs, "duration", (text, type) => parseDuration(text, type.min, type.max));
  }

  integer(name: NameOf<"integer">): number {
    return this.#value(name, 0, "integer", (text, type) => parseInteger(text, type.min, type.max));
  }

  ratio(name: NameOf<"ratio">): number {
    return this.#value(name, 0, "ratio", parseRatio);
  }

  on(name: NameOf<"switch">, fallback = false): boolean {
    return this.#value(name, fallback, "switch", parseSwitch);
  }

  choice(name: NameOf<"choice">): string {
    return this.#value(name, "", "choice", (text, type) => parseChoice(text, type.choices));
  }

  /** Checked against the setting's pattern. */
  word(name: NameOf<"text">): string | null {
    return this.#value<string | null, "text">(name, null, "text", (text, type) =>
      type.pattern.test(text) ? { ok: true, value: text } : { ok: false, expected: type.expected },
    );
  }

  /** A file's text. What is wrong with it becomes a problem of `name`, and the answer null. */
  file(name: string, path: string, what: string): string | null {
    try {
      return this.#readFile(path);
    } catch (error) {
      this.problem(name, `cannot be used: ${what} ${shownPath(path)} ${readFault(error)}`);
      return null;
    }
  }

  /** Whether there is such a file, be it readable or not. */
  hasFile(path: string): boolean {
    try {
      this.#readFile(path);
      return true;
    } catch (error) {
      return !["ENOENT", "ENOTDIR"].includes(codeOf(error));
    }
  }

  #value<T, Kind extends ReturnType<typeof settingOf>["type"]["kind"]>(
    name: SettingName,
    fallback: T,
    kind: Kind,
    parse: (
      text: string,
      type: Extract<ReturnType<typeof settingOf>["type"], { readonly kind: Kind }>,
    ) => Parsed<T>,
  ): T {
    const { type } = settingOf(name);
    if (type.kind !== kind) throw new Error(`Bug: ${name} is no ${kind}`);
    const text = this.textOrDefault(name);
    if (text === null) return fallback;
    const answer = parse(text, type as Parameters<typeof parse>[1]);
    if (answer.ok) return answer.value;
    this.problem(name, `must be ${answer.expected}, not ${this.shown(name, text)}`);
    return fallback;
  }

  #plain(name: SettingName): string | null {
    const given = this.#env[name];
    const setting = settingOf(name);
    if (given === "" && setting.refuseEmpty)
      this.problem(name, `must not be empty; leave it out for ${quote(setting.default ?? "")}`);
    return given === undefined || given === "" ? null : given;
  }

  /** Environment, then `NAME_FILE`, then the credentials folder: what was said for this process alone comes first. */
  #secret(name: SettingName): string | null {
    const given = this.#env[name] || null;
    const path = this.#env[`${name}_FILE`] || null;
    if (given !== null && path !== null)
      this.problem(`${name}_FILE`, `and ${name} are both set; keep one of them`);
    if (path !== null && given === null) return this.#secretFile(name, path);
    const credential = this.#credential(name);
    if (given !== null || credential === null) {
      if (given !== null && credential?.text && credential.text !== given)
        this.warn(name, `is set in the environment, so the credential ${quote(credential.path)} is not used`);
      return given;
    }
    if (credential.text) return credential.text;
    this.problem(name, `cannot be used: the credential ${quote(credential.path)} ${credential.fault}`);
    return null;
  }

  #secretFile(name: SettingName, path: string): string | null {
    // Who writes the secret itself here made a common mistake, and it must not be shown.
    if (!path.startsWith("/")) {
      this.problem(`${name}_FILE`, "must be the absolute path of a file, not ***");
      return this.#unusable(name);
    }
    const text = this.file(`${name}_FILE`, path, "the file");
    if (text === null) return this.#unusable(name);
    if (withoutNewline(text) !== "") return withoutNewline(text);
    this.problem(`${name}_FILE`, `names an empty file, ${shownPath(path)}`);
    return this.#unusable(name);
  }

  #credential(name: SettingName): { path: string; text: string; fault: string } | null {
    const folder = this.#env.CREDENTIALS_DIRECTORY;
    if (!folder) return null;
    for (const fileName of [name, name.toLowerCase().replaceAll("_", "-")]) {
      const path = `${folder.replace(/\/+$/, "")}/${fileName}`;
      try {
        return { path, text: withoutNewline(this.#readFile(path)), fault: "is empty" };
      } catch (error) {
        if (!["ENOENT", "ENOTDIR"].includes(codeOf(error)))
          return { path, text: "", fault: readFault(error) };
      }
    }
    return null;
  }

  /** Its file is wrong: it must not be called missing as well. */
  #unusable(name: SettingName): null {
    this.#wrong.add(name);
    return null;
  }
}

/** A URL with its password may stand where a path belongs, by mistake; few paths look like one. */
const shownPath = (path: string): string => (/[@:]/.test(path) ? "***" : quote(path));

const withoutNewline = (text: string): string => text.replace(/\r?\n$/, "");

function codeOf(error: unknown): string {
  const code = typeof error === "object" && error !== null && "code" in error ? error.code : null;
  return typeof code === "string" && /^E[A-Z0-9]{1,20}$/.test(code) ? code : "";
}

/** Follows the file's name. Never the error's own text: it may quote what was read. */
function readFault(error: unknown): string {
  const code = codeOf(error);
  if (code === "ENOENT") return "does not exist";
  if (code === "EACCES" || code === "EPERM") return "may not be read by this user";
  if (code === "EISDIR") return "is a folder";
  return `cannot be read${code === "" ? "" : ` (${code})`}`;
}
