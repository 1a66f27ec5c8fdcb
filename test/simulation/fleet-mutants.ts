/** Planted bugs of a fleet: what the simulation of one must catch. How they are planted: mutants.ts. */
import type { Mutant } from "./mutants.ts";

export const fleetMutants: readonly Mutant[] = [
  { name: "the writing statement asks for no claim", sabotage: "claims-ignored" },
  {
    name: "absence everywhere is proven without the hosts that are silent",
    file: "fleet.ts",
    replace: [
      ["if (complete === null || complete.stamp > now) return null;", "if (complete === null) continue;"],
      ["if (complete.stamp < stamp) stamp = complete.stamp;", ""],
    ],
  },
  {
    name: "the newest of the hosts' looks proves absence everywhere",
    file: "fleet.ts",
    replace: [["if (complete.stamp < stamp) stamp = complete.stamp;", ""]],
  },
  {
    name: "a look proves absence in rows that it did not know",
    file: "fleet.ts",
    replace: [["since === null || since > proof.stamp ||", ""]],
  },
  {
    name: "who looks again doesn't count from the change",
    file: "rows.ts",
    replace: [["known.unclaimedSince = null;", ""]],
  },
  {
    name: "a look counts as complete whatever it could not write",
    file: "report.ts",
    replace: [
      ['!this.#failures.some(({ stage }) => stage !== "wake" && stage !== "inspect") &&', ""],
      ["except: this.#leftOut }", "except: [] }"],
    ],
  },
  {
    name: "an outage of the database makes lost hosts",
    file: "fleet.ts",
    replace: [["isOld && nowMs - sinceMs >= lostAfterMs / 2", "isOld"]],
    from: 60,
  },
  {
    name: "what stood still while nothing could be read counts",
    file: "fleet.ts",
    replace: [
      ["this.#signs.clear();", ""],
      ["this.#lost.clear();", ""],
    ],
    from: 180,
  },
  {
    name: "a lost host's rows become null",
    file: "compose-fleet.ts",
    replace: [["value: markedLost(stored, host, changedAt),", "value: null,"]],
  },
  {
    name: "a lost host's rows get a fresh stamp",
    file: "compose-fleet.ts",
    replace: [["stamp: null, });", "stamp: formatInstant(now), });"]],
  },
  {
    name: "what is there at the first look has just appeared",
    file: "appearances.ts",
    replace: [
      ["if (before === null || seen === undefined) return;", "if (seen === undefined) return;"],
      ["const last = before.byWorkspace.get(id);", "const last = before?.byWorkspace.get(id);"],
    ],
  },
  {
    name: "a claim becomes younger with each look",
    file: "appearances.ts",
    replace: [
      ["if (last !== undefined && identityOf(last) === identity) return;", ""],
      ["if (known !== undefined && (known.identity === identity || order < known.order)) return;", ""],
      ["if (before?.byWorkspace.get(id) !== seen) this", "this"],
    ],
  },
  {
    name: "an older whole look forgets when a glance saw it appear",
    file: "appearances.ts",
    replace: [["&& look.order > notedBy", ""]],
    from: 75,
  },
  {
    name: "what another host wrote is an earlier state of one's own",
    file: "compose-fleet.ts",
    replace: [["(hostOf(stored) ?? host) === host ? stored : undefined", "stored"]],
    from: 65,
  },
  {
    name: "a lost host's word stands against one that is there",
    file: "ownership.ts",
    replace: [["holder === claim.host || isUnknown(stored) || wins", "holder === claim.host || wins"]],
  },
  {
    name: "a host reads the rows that name it, and not those of what it sees",
    file: "cycle.ts",
    replace: [["seen: [...seen], known", "seen: [], known"]],
  },
  {
    name: "a host takes a listing in that came while it read the rows of another",
    file: "cycle.ts",
    replace: [['parts.unit?.kind !== "host" || parts.engineSource?.completed === named', "true"]],
    from: 1_150,
  },
];
