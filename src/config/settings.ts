/**
 * The table of settings: the one source for reading them, for `--help`, for docs/configuration.md and for the
 * check for unknown names.
 */
import type { Setting, SettingType } from "./setting.ts";
import { ownSettings } from "./settings-own.ts";
import { serviceSettings } from "./settings-services.ts";
import { telemetrySettings } from "./settings-telemetry.ts";

export const settings = [...serviceSettings, ...telemetrySettings, ...ownSettings] as const;

type Row = (typeof settings)[number];
export type SettingName = Row["name"];
/** Names whose values have this form. */
export type NameOf<Kind extends SettingType["kind"]> = Extract<
  Row,
  { readonly type: { readonly kind: Kind } }
>["name"];

/** These may also come from a file: `NAME_FILE`, or `NAME` in `$CREDENTIALS_DIRECTORY`. */
export const fileSecretNames: readonly SettingName[] = [
  "DATABASE_URL",
  "REDIS_URL",
  "OBSERVER_STATUS_TOKEN",
  "AWS_ACCESS_KEY_ID",
  "AWS_SECRET_ACCESS_KEY",
  "AWS_SESSION_TOKEN",
  "OTEL_EXPORTER_OTLP_HEADERS",
];

const byName: ReadonlyMap<string, Setting> = new Map(settings.map((setting) => [setting.name, setting]));

export function settingOf(name: SettingName): Setting {
  const setting = byName.get(name);
  if (setting === undefined) throw new Error(`Bug: ${name} is not in the table of settings`);
  return setting;
}

/** Every name that is read, the `_FILE` forms too. */
export const knownNames: readonly string[] = [
  ...settings.map((setting) => setting.name),
  ...fileSecretNames.map((name) => `${name}_FILE`),
];
