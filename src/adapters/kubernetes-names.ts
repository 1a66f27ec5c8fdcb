/** Workspaces ⇄ pods and claims: by name, or by a label's value. */
import {
  containerName,
  parseContainerName,
  parseVolumeName,
  parseWorkspaceId,
  volumeName,
  type WorkspaceId,
} from "../observer/names.ts";
import { textOf } from "./kubernetes-fields.ts";
import type { ListQuery, Resource } from "./kubernetes-list.ts";
import type { ObjectIdentity } from "./kubernetes-pods.ts";
import type { KubernetesEndpoint } from "./kubernetes-transport.ts";

export function workspaceOf(
  { workspaceLabel }: KubernetesEndpoint,
  resource: Resource,
  prefix: string,
  { name, labels }: Pick<ObjectIdentity, "name" | "labels">,
): WorkspaceId | null {
  if (workspaceLabel !== null) {
    const value = Object.hasOwn(labels, workspaceLabel) ? textOf(labels[workspaceLabel]) : null;
    return value === null ? null : parseWorkspaceId(value);
  }
  return resource === "pods" ? parseContainerName(`/${name}`, prefix) : parseVolumeName(name, prefix);
}

/** So many workspaces are asked for by their names, a list each; for more everything is listed. */
const ASKED_BY_NAME = 64;
/** A URL of 64 values is 4 KB. */
const ASKED_BY_LABEL = 64;

/** What a server takes for a name; what it doesn't take exists nowhere. */
const OBJECT_NAME = /^(?=.{1,253}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL_VALUE = /^(?=.{1,63}$)[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

/**
 * The lists that together show all there is of these workspaces. Always lists: an answer without the object proves that
 * it is absent, where a 404 could be anybody's.
 */
export function queriesFor(
  { workspaceLabel }: KubernetesEndpoint,
  resource: Resource,
  prefix: string,
  only: ReadonlySet<WorkspaceId> | undefined,
): readonly ListQuery[] {
  if (only === undefined) return [{}];
  if (workspaceLabel !== null) {
    const values = [...only].filter((id) => LABEL_VALUE.test(id));
    if (values.length > ASKED_BY_LABEL) return [{}];
    return values.length === 0 ? [] : [{ selector: `${workspaceLabel} in (${values.join(",")})` }];
  }
  const nameOf = resource === "pods" ? containerName : volumeName;
  const names = [...only].map((id) => nameOf(id, prefix)).filter((name) => OBJECT_NAME.test(name));
  return names.length > ASKED_BY_NAME ? [{}] : names.map((name) => ({ name }));
}
