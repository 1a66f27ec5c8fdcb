// A host in a thread of its own. The one that leads the table's unit reads what all hosts write: beside the others it would
// hold up every one of them, as no host holds up another in earnest.
import type { Settings } from "./host.ts";

export type Order =
  | {
      readonly kind: "open";
      readonly name: string;
      readonly settings: Settings;
      /** Of all hosts; the first so many are this one's. */
      readonly workspaces: number;
      readonly rows: number;
    }
  | { readonly kind: "start"; readonly more: Settings }
  | { readonly kind: "stop" };

export interface State {
  readonly isTableLeader: boolean;
  readonly isComplete: boolean;
  readonly hasLookedAtTable: boolean;
  readonly faults: number;
}
export type Told = ({ readonly kind: "state" } & State) | { readonly kind: "stopped" };

const NOTHING: State = { isTableLeader: false, isComplete: false, hasLookedAtTable: false, faults: 0 };

export class RemoteHost {
  readonly #worker = new Worker(new URL("./worker.ts", import.meta.url).href);
  #state = NOTHING;
  #stopped = Promise.withResolvers<void>();

  constructor(
    readonly name: string,
    order: Omit<Extract<Order, { kind: "open" }>, "kind" | "name">,
  ) {
    this.#worker.onmessage = ({ data }: MessageEvent<Told>) => {
      if (data.kind === "state") this.#state = data;
      else this.#stopped.resolve();
    };
    this.#worker.onerror = (error) => console.error(`${name} failed`, error.message);
    this.#tell({ kind: "open", name, ...order });
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
