/** What is known about one setting. */

export const settingGroups = [
  { id: "connections", title: "Connections" },
  { id: "engine", title: "Docker Engine" },
  { id: "kubernetes", title: "Kubernetes" },
  { id: "archives", title: "Archives (S3)" },
  { id: "names", title: "Names and channels" },
  { id: "cadence", title: "Cadence and deadlines" },
  { id: "guard", title: "Sudden-emptiness guard" },
  { id: "fleet", title: "Fleet: many hosts on one table" },
  { id: "history", title: "History" },
  { id: "status", title: "Status endpoint" },
  { id: "telemetry", title: "OpenTelemetry" },
  { id: "log", title: "Log" },
  { id: "postgres", title: "PostgreSQL's own variables" },
  { id: "environment", title: "From the surroundings" },
] as const;

export type SettingGroup = (typeof settingGroups)[number]["id"];

export type SettingType =
  /** `min` and `max` are durations themselves, both allowed. */
  | { readonly kind: "duration"; readonly min: string; readonly max: string }
  | { readonly kind: "integer"; readonly min: number; readonly max: number }
  /** Above 0, below 1. */
  | { readonly kind: "ratio" }
  | { readonly kind: "switch" }
  | { readonly kind: "choice"; readonly choices: readonly string[] }
  | { readonly kind: "text"; readonly pattern: RegExp; readonly expected: string }
  /** Parsed by a file of its own. */
  | { readonly kind: "url" | "listen" | "path" | "flag" | "pairs" }
  /** Set by the service manager for every process alike; what can't be used is left alone. */
  | { readonly kind: "foreign" };

export interface Setting {
  readonly name: string;
  readonly group: SettingGroup;
  readonly type: SettingType;
  /** As one would write it; null where there is none or it follows from something else. */
  readonly default: string | null;
  /** What happens without it, where `default` is null. */
  readonly otherwise?: string;
  /** Never shown. Of a URL, what may be secret is hidden. */
  readonly secret?: boolean;
  /** An empty value is an error instead of "not set": it would silently mean something else than was meant. */
  readonly refuseEmpty?: boolean;
  readonly description: string;
  readonly example: string;
}

/** Visible ASCII without spaces. */
export const word = (expected: string, maxLength: number) =>
  ({ kind: "text", pattern: new RegExp(`^[\\x21-\\x7e]{1,${maxLength}}$`), expected }) as const;
