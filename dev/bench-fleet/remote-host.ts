// A host in a thread of its own, as in earnest each has a machine of its own: the one that leads the table's unit, which
// reads what all hosts write and would hold up every one of them, and the one that is timed, which all of them would.
import { workspaceIds } from "../bench/names.ts";
import type { Written } from "./changes.ts";
import type { Settings } from "./host.ts";

export type Order =
  | ({ readonly kind: "open"; readonly name: string } & Place)
  | { readonly kind: "start"; readonly more: Settings }
  | { readonly kind: "change"; readonly id: string }
  | { readonly kind: "stop" };

export interface Place {
  readonly settings: Settings;
  /** Of all hosts; so many, from this one on, are this one's. */
  readonly workspaces: number;
  readonly from: number;
  readonly rows: number;
}

export interface State {
  readonly isTableLeader: boolean;
  readonly isComplete: boolean;
  readonly hasLookedAtTable: boolean;
  readonly faults: number;
}
export type Told =
  | ({ readonly kind: "state" } & State)
  | { readonly kind: "written"; readonly written: Written }
  | { readonly kind: "unwritten"; readonly reason: string }
  | { readonly kind: "stopped" };

const NOTHING: State = { isTableLeader: false, isComplete: false, hasLookedAtTable: false, faults: 0 };

export class RemoteHost {
  readonly #worker = new Worker(new URL("./worker.ts", import.meta.url).href);
  #state = NOTHING;
  #stopped = Promise.withResolvers<void>();
  #written = Promise.withResolvers<Written>();
  readonly ids: readonly string[];

  constructor(
    readonly name: string,
    place: Place,
  ) {
    this.ids = workspaceIds(place.workspaces).slice(place.from, place.from + place.rows);
    this.#worker.onmessage = ({ data }: MessageEvent<Told>) => this.#hear(data);
    this.#worker.onerror = (error) => console.error(`${name} failed`, error.message);
    this.#tell({ kind: "open", name, ...place });
  }

  #hear(told: Told): void {
    if (told.kind === "state") this.#state = told;
    else if (told.kind === "written") this.#written.resolve(told.written);
    else if (told.kind === "unwritten") this.#written.reject(new Error(told.reason));
    else this.#stopped.resolve();
  }

  #tell(order: Order): void {
    this.#worker.postMessage(order);
  }

  async start(more: Settings = {}): Promise<void> {
    this.#tell({ kind: "start", more });
  }

  async stop(): Promise<void> {
    this.#stopped = Promise.withResolvers();
    this.#tell({ kind: "stop" });
    await this.#stopped.promise;
    this.#state = { ...NOTHING, faults: this.#state.faults };
  }

  /** One at a time. */
  changeUntilWritten(id: string): Promise<Written> {
    this.#written = Promise.withResolvers();
    this.#tell({ kind: "change", id });
    return this.#written.promise;
  }

  end(): void {
    this.#worker.terminate();
  }

  get isTableLeader(): boolean {
    return this.#state.isTableLeader;
  }
  get isComplete(): boolean {
    return this.#state.isComplete;
  }
  get hasLookedAtTable(): boolean {
    return this.#state.hasLookedAtTable;
  }
  get faults(): number {
    return this.#state.faults;
  }
}
