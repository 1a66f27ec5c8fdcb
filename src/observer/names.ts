/**
 * Workspace ids ⇄ container, volume and archive names.
 *
 * A listing's own filters are loose (the Engine's matches substrings and knows link aliases such as `/other/ws-x`),
 * so every name is parsed whole here; what doesn't parse isn't a workspace's.
 */
declare const brand: unique symbol;
/** The id as text, whatever the column's type: non-empty, without `/` and without control characters. */
export type WorkspaceId = string & { readonly [brand]: "WorkspaceId" };

const VOLUME_SUFFIX = "-home";

export function parseWorkspaceId(text: string): WorkspaceId | null {
  return text !== "" && !/[/\u0000-\u001f\u007f]/.test(text) && text.isWellFormed()
    ? (text as WorkspaceId)
    : null;
}

/** `/ws-7f3c` → `7f3c`. The Engine writes own names with exactly one slash; more slashes are link aliases. */
export function parseContainerName(name: string, prefix: string): WorkspaceId | null {
  const own = `/${prefix}`;
  return name.startsWith(own) ? parseWorkspaceId(name.slice(own.length)) : null;
}

/** `ws-7f3c-home` → `7f3c`; `ws-a-home-home` → `a-home`: only the last suffix is ours. */
export function parseVolumeName(name: string, prefix: string): WorkspaceId | null {
  if (!name.startsWith(prefix) || !name.endsWith(VOLUME_SUFFIX)) return null;
  return parseWorkspaceId(
    name.slice(prefix.length, Math.max(prefix.length, name.length - VOLUME_SUFFIX.length)),
  );
}

/** `ws-7f3c/{op_id}/home.tar.zst` with suffix `/home.tar.zst` → `7f3c`. The operation's id is one path segment. */
export function parseArchiveKey(key: string, prefix: string, suffix: string): WorkspaceId | null {
  if (!key.startsWith(prefix) || !key.endsWith(suffix) || key.length < prefix.length + suffix.length)
    return null;
  const middle = key.slice(prefix.length, key.length - suffix.length);
  const slash = middle.indexOf("/");
  if (slash < 1 || slash !== middle.lastIndexOf("/") || slash === middle.length - 1) return null;
  return parseWorkspaceId(middle.slice(0, slash));
}

export const containerName = (id: string, prefix: string): string => `${prefix}${id}`;
export const volumeName = (id: string, prefix: string): string => `${prefix}${id}${VOLUME_SUFFIX}`;

/** What may be stored: PostgreSQL's jsonb refuses NUL and lone surrogates, and one of them fails a whole batch. */
export const storableText = (text: string): string =>
  (text.includes("\u0000") ? text.replaceAll("\u0000", "\ufffd") : text).toWellFormed();
