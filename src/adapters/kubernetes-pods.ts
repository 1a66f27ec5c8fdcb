/**
 * A pod, from Kubernetes' words to the domain's.
 *
 * `running` is phase Running, ready, and not being deleted. Everything else has the state that a Docker Engine would call
 * it by, and the reason that `kubectl get pods` shows. The texts of back-offs ("back-off 5m0s …") tick, so none of them
 * is in a message.
 */
import { reasonOf } from "../observer/conditions.ts";
import { storableText } from "../observer/names.ts";
import type { ContainerDeath, ContainerSeen } from "../observer/ports.ts";
import { notAList } from "./kubernetes-fault.ts";
import { type Fields, fieldsOf, listOf, textOf } from "./kubernetes-fields.ts";

/** As much of an id as people use. */
const ID_DIGITS = 12;
const MAX_MESSAGE_CHARACTERS = 300;
const MAX_REASON_CHARACTERS = 100;
const MAIN_CONTAINER = "kubectl.kubernetes.io/default-container";
/** Waiting for these is how every pod begins. */
const BEGINNINGS: ReadonlySet<string | null> = new Set([null, "ContainerCreating", "PodInitializing"]);

/** The name of an object, and what else tells which one it is. */
export interface ObjectIdentity {
  readonly name: string;
  readonly uid: string;
  readonly labels: Fields;
  readonly createdAt: string;
  readonly isLeaving: boolean;
  readonly resourceVersion: string;
}

export function identityIn(object: Fields): ObjectIdentity {
  const { name, uid, labels, creationTimestamp, deletionTimestamp, resourceVersion } = fieldsOf(
    object.metadata,
  );
  // Not left out: without a name nothing could be absent.
  if (typeof name !== "string" || name === "" || typeof uid !== "string") {
    throw notAList("an object that has no name or no uid");
  }
  return {
    name,
    uid,
    labels: fieldsOf(labels),
    createdAt: textOf(creationTimestamp) ?? "",
    isLeaving: textOf(deletionTimestamp) !== null,
    resourceVersion: textOf(resourceVersion) ?? "",
  };
}

export function shortId(uid: string): string {
  const digits = uid.replaceAll("-", "").toLowerCase().slice(0, ID_DIGITS);
  if (!/^[0-9a-f]{12}$/.test(digits)) throw notAList("a pod whose uid is none");
  return digits;
}

export function seePod(pod: Fields): ContainerSeen {
  const { uid, isLeaving } = identityIn(pod);
  const main = mainContainer(pod);
  const statuses = containerStatuses(pod);
  const verdict = judge(pod, statuses, isLeaving);
  return {
    containerId: shortId(uid),
    image: storableText(textOf(main.image) ?? ""),
    health: verdict.state === "running" && hasProbe(pod) ? "healthy" : "none",
    restarts: statuses.reduce((sum, { restartCount }) => sum + numberOf(restartCount), 0),
    exitCode: null,
    ...verdict,
  };
}

type Verdict = Pick<ContainerSeen, "state"> & Partial<ContainerSeen>;

function judge(pod: Fields, statuses: readonly Fields[], isLeaving: boolean): Verdict {
  const { phase, reason, message, conditions } = fieldsOf(pod.status);
  const condition = (type: string) => fieldsOf(listOf(conditions).find((one) => one.type === type));
  if (reason === "NodeLost") return told("unknown", "NodeLost", "its node does not answer");
  if (isLeaving) return told("removing", "Terminating", "terminating");
  if (phase === "Succeeded" || phase === "Failed") {
    const end = endOf(statuses);
    const why = textOf(reason) ?? textOf(end?.reason) ?? (phase === "Succeeded" ? "Completed" : "Failed");
    return ended(why, end, textOf(message) === null ? "" : `: ${excerptOf(message as string)}`);
  }
  const ready = condition("Ready");
  if (phase === "Running" && ready.status === "True") return { state: "running" };

  const inits = listOf(fieldsOf(pod.status).initContainerStatuses);
  for (const status of [...statuses, ...inits]) {
    const waiting = fieldsOf(fieldsOf(status.state).waiting);
    const why = textOf(waiting.reason);
    if (BEGINNINGS.has(why)) continue;
    const last = fieldsOf(fieldsOf(status.lastState).terminated);
    const exitCode = exitCodeOf(last);
    const who = inits.includes(status) ? ` of the init container ${textOf(status.name)}` : "";
    if (exitCode === null) return told("created", why!, `waiting${who}: ${why}`);
    const cause = textOf(last.reason);
    const because = cause === null || cause === "Error" ? "" : `, ${cause}`;
    const text = `restarting${who} after exit with code ${exitCode}${because}: ${why}`;
    return { ...told("restarting", why!, text), exitCode };
  }
  if (phase === "Running") {
    const end = endOf(statuses);
    if (end !== null) return ended(textOf(end.reason) ?? "Exited", end, "");
    const isStarting = statuses.some((status) => status.started === false);
    const text = isStarting ? "started, health check starting" : "started, not ready";
    return told(isStarting ? "starting" : "unready", textOf(ready.reason) ?? "NotReady", text);
  }
  if (phase === "Pending") {
    const scheduled = condition("PodScheduled");
    const isHeld = scheduled.status === "False" && textOf(scheduled.reason) !== null;
    if (isHeld) return told("created", scheduled.reason as string, "no node takes it yet");
    const isCreating = [...statuses, ...inits].some(({ state }) => fieldsOf(state).waiting !== undefined);
    return isCreating
      ? told("created", "ContainerCreating", "its containers are being created")
      : told("created", "Pending", "pending");
  }
  return told("unknown", textOf(reason) ?? "Unknown", "its node does not answer");
}

function told(state: string, reason: string, message: string): Verdict {
  const word = reasonOf(reason.slice(0, MAX_REASON_CHARACTERS));
  // By the contract that word has one meaning.
  return {
    state,
    reason: storableText(word === "Running" ? "NotRunning" : word),
    message: excerptOf(message),
  };
}

function ended(reason: string, end: Fields | null, more: string): Verdict {
  const exitCode = exitCodeOf(end);
  const code = exitCode === null ? "" : ` with code ${exitCode}`;
  const because = reason === "Error" || reason === "Completed" ? "" : `, ${reason}`;
  return { ...told("exited", reason, `exited${code}${because}${more}`), exitCode };
}

/** The end that counts: of several containers the first that failed, the main one first. */
function endOf(statuses: readonly Fields[]): Fields | null {
  const ends = statuses.flatMap(({ state }) => {
    const { terminated } = fieldsOf(state);
    return terminated === undefined ? [] : [fieldsOf(terminated)];
  });
  return ends.find(({ exitCode }) => exitCode !== 0) ?? ends[0] ?? null;
}

/** Null for what runs, or has not ended yet. */
export function deathOf(pod: Fields): ContainerDeath | null {
  const seen = seePod(pod);
  const statuses = containerStatuses(pod);
  const end =
    endOf(statuses) ??
    statuses
      .map(({ lastState }) => fieldsOf(fieldsOf(lastState).terminated))
      .find(({ exitCode }) => exitCode);
  const exitCode = exitCodeOf(end ?? null);
  if (seen.state === "running" || end === undefined || exitCode === null) return null;
  return {
    oomKilled: end.reason === "OOMKilled",
    exitCode,
    error: excerptOf(textOf(fieldsOf(pod.status).message) ?? ""),
    finishedAt: textOf(end.finishedAt) && storableText(end.finishedAt as string),
    restartCount: seen.restarts ?? 0,
  };
}

function mainContainer(pod: Fields): Fields {
  const wanted = fieldsOf(fieldsOf(pod.metadata).annotations)[MAIN_CONTAINER];
  const containers = listOf(fieldsOf(pod.spec).containers);
  return containers.find(({ name }) => name === wanted) ?? containers[0] ?? {};
}

/** The main container's first: kubelets order them by name. */
function containerStatuses(pod: Fields): readonly Fields[] {
  const statuses = listOf(fieldsOf(pod.status).containerStatuses);
  const main = mainContainer(pod).name;
  return [...statuses.filter(({ name }) => name === main), ...statuses.filter(({ name }) => name !== main)];
}

const PROBES = ["readinessProbe", "livenessProbe", "startupProbe"] as const;
const hasProbe = (pod: Fields): boolean =>
  listOf(fieldsOf(pod.spec).containers).some((one) => PROBES.some((probe) => one[probe] !== undefined));

const exitCodeOf = (end: Fields | null): number | null =>
  Number.isSafeInteger(end?.exitCode) ? (end!.exitCode as number) : null;
const numberOf = (value: unknown): number => (Number.isSafeInteger(value) ? (value as number) : 0);
const excerptOf = (text: string): string =>
  storableText(text.replace(/\s+/g, " ").trim().slice(0, MAX_MESSAGE_CHARACTERS));
