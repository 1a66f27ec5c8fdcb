// One measurement at one size. Steps of all sections run in the order of their sizes, for the world only grows.
import type { Results, Section } from "./results.ts";
import type { World } from "./world.ts";

export interface Plan {
  /** Ends in two minutes: small sizes, few repetitions, cadences scaled down where the table says so. */
  readonly quick: boolean;
  /** Seconds that the repetitions of one comparison may take. */
  readonly budgetSeconds: number;
}

export interface Step {
  readonly section: Section;
  readonly workspaces: number;
  /** Containers (with a volume each) that have to exist. */
  readonly containers: number;
  run(world: World, plan: Plan, results: Results): Promise<void>;
}
