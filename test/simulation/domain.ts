/** The domain as the simulation needs it: the real one, or a copy with a planted bug. */
import type * as loop from "../../src/observer/loop.ts";
import { Loop } from "../../src/observer/loop.ts";
import type * as source from "../../src/observer/source.ts";
import { Source } from "../../src/observer/source.ts";

export interface Domain {
  readonly Loop: typeof loop.Loop;
  readonly Source: typeof source.Source;
}

export const realDomain: Domain = { Loop, Source };

/** Bugs of adapters, as switches in the fakes. */
export type Sabotage =
  | "failed-list-is-empty"
  | "half-read-list-is-whole"
  /** Nor is there a lease: the one is what holds when the other fails. */
  | "no-fence"
  | "epoch-ignored"
  | "deleted-rows-forgotten"
  | "orphan-inserted"
  | "whole-document-replaced"
  /** Only rows that are new are told. */
  | "changes-missed"
  | "locked-row-awaited"
  /** Of a fleet: whoever writes may write. */
  | "claims-ignored";
