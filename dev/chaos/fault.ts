import type { Settings } from "./observer.ts";
import type { World } from "./world.ts";

/** What a fault is given while it rages. */
export interface Context {
  readonly durationMs: number;
  /** Lets the fault last, while workspaces come and go; then they rest, and the fault is to be taken back. */
  hold(): Promise<void>;
  /** A promise that the fault itself saw broken. */
  violation(promise: string, text: string): void;
  /** Something to tell in the table. */
  note(text: string): void;
}

export interface Fault {
  readonly name: string;
  /** What happens, for the table. */
  readonly what: string;
  /** What it is meant to shake. All others must hold as well. */
  readonly promises: readonly string[];
  /** Settings of the instance that meets it. */
  readonly settings?: Settings | ((world: World) => Settings);
  /** Default 6 s. */
  readonly durationMs?: number;
  /** Default true: workspaces come and go meanwhile. */
  readonly churn?: boolean;
  /** P6: sources that must be observed all the time. */
  readonly goesOn?: readonly ("containers" | "archives")[];
  /** Longest allowed time until the table is right and new again. Default 8 s. */
  readonly recoveryMs?: number;
  /** At its end, before it is taken back: is the process live, and does it say that the table is not to be trusted? */
  readonly unready?: boolean;
  /** Log events that prove that the fault was felt. */
  readonly felt?: readonly string[];
  /** How many instances may have ended in it. */
  readonly ends?: number;
  /** Puts the fault in, holds, takes it back. */
  run(world: World, context: Context): Promise<void>;
}
