/**
 * Who may write what, where many hosts write into one table. The writing statement decides it on the locked row
 * (postgres-statements.ts, in SQL); this says the same beforehand, so that little is refused there.
 */
import { isJsonObject, type Json, type JsonObject } from "./conditions.ts";
import type { Claim, PresenceClaim } from "./ports.ts";

export type HostedKey = Claim["key"];
export const HOSTED_KEYS = ["container", "volume"] as const satisfies readonly HostedKey[];
export const SOURCE_OF = { container: "containers", volume: "volumes", archive: "archives" } as const;

/** Null: it is absent, not observed, or from before there were hosts. */
export const hostOf = (condition: Json | undefined): string | null =>
  isJsonObject(condition) && typeof condition.host === "string" ? condition.host : null;

/** Its host gave no sign for too long. */
export const isUnknown = (condition: Json | undefined): boolean =>
  isJsonObject(condition) && condition.unknown === true;

/** What one host may call its own. */
export class HostOwnership {
  /** Whether the Engine that answers is the one that a single observer wrote the table from, before there were hosts. */
  adopts = false;

  constructor(
    readonly host: string,
    /** Read once: the identity of that Engine, if there was one. */
    readonly former: () => string | null = () => null,
  ) {}

  answered(identity: string | null): void {
    this.adopts = identity !== null && identity === this.former();
  }

  isMine(condition: Json | undefined): boolean {
    return isJsonObject(condition) && (hostOf(condition) ?? (this.adopts ? this.host : null)) === this.host;
  }
}

/** Whether all claims hold of this document. */
export const doClaimsHold = (claims: readonly Claim[], document: JsonObject): boolean =>
  claims.every((claim) => doesHold(claim, document));

function doesHold(claim: Claim, document: JsonObject): boolean {
  const stored = document[claim.key];
  if (claim.kind === "unclaimed") return !isJsonObject(stored) && hasStamp(claim.key, document, claim.stamp);
  if (claim.kind === "lost")
    return hostOf(stored) === claim.host && !isUnknown(stored) && hasStamp(claim.key, document, claim.stamp);
  if (!isJsonObject(stored)) return claim.kind === "present";
  const holder = hostOf(stored);
  if (claim.kind === "absent") return holder === claim.host || (holder === null && claim.adopts);
  return holder === null || holder === claim.host || isUnknown(stored) || wins(claim, holder, document);
}

/** One that runs beats one that doesn't; a volume goes with the container; else the later claim, and the lesser name. */
function wins(claim: PresenceClaim, holder: string, document: JsonObject): boolean {
  const stored = document[claim.key] as JsonObject;
  if (claim.key === "container" && claim.running !== (stored.running === true)) return claim.running;
  if (claim.key === "volume") {
    const { container } = document;
    const withContainer = claim.withContainer ? claim.host : isUnknown(container) ? null : hostOf(container);
    if (withContainer === claim.host) return true;
    if (withContainer === holder) return false;
  }
  if (claim.since === null) return false;
  const before = typeof stored.last_transition_at === "string" ? stored.last_transition_at : "";
  return claim.since > before || (claim.since === before && claim.host < holder);
}

const hasStamp = (key: HostedKey, document: JsonObject, stamp: string | null): boolean =>
  storedStamp(key, document) === stamp;

/** As `#>>` reads it, whatever was stored. */
export function storedStamp(key: HostedKey, { observed }: JsonObject): string | null {
  const stamp = isJsonObject(observed) ? observed[SOURCE_OF[key]] : undefined;
  return stamp === undefined || stamp === null
    ? null
    : typeof stamp === "string"
      ? stamp
      : JSON.stringify(stamp);
}
