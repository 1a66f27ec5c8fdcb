/** Which build this is. `bun run build` defines both constants; from a checkout there are none. */
declare const OBSERVER_VERSION: string | undefined;
declare const OBSERVER_COMMIT: string | undefined;

export interface BuildInfo {
  readonly version: string;
  readonly commit: string;
  readonly runtime: string;
}

export const build: BuildInfo = {
  version: typeof OBSERVER_VERSION === "string" ? OBSERVER_VERSION : "0.0.0-dev",
  commit: typeof OBSERVER_COMMIT === "string" ? OBSERVER_COMMIT : "unknown",
  runtime: `bun ${Bun.version}`,
};
