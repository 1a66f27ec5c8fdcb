// A WorkspaceController at its smallest: it reads `container.running`, `volume.exists` and `archive.exists`, nothing else.

export type Phase = "running" | "stopped" | "archived" | "absent" | "unknown";

type Has<Key extends string> = { readonly [key in Key]?: unknown } | null;

export interface JudgedConditions {
  readonly container?: Has<"running">;
  readonly volume?: Has<"exists">;
  readonly archive?: Has<"exists">;
}

/**
 * `unknown` while something that the answer hangs on was never observed: who then acts on absence loses data.
 * An archive counts only where there is no volume, so that installations without archives needn't observe any.
 */
export function judge({ container, volume, archive }: JudgedConditions): Phase {
  if (container?.running === true) return "running";
  if (container === undefined || volume === undefined) return "unknown";
  if (volume?.exists === true) return "stopped";
  if (archive === undefined) return "unknown";
  return archive?.exists === true ? "archived" : "absent";
}
