/**
 * Name filters for the Engine's listings. They only make answers smaller; what counts is decided by parsing the
 * whole name here.
 *
 * The Engine takes them for regular expressions and looks for them anywhere in the name, with and without its
 * slash. Podman looks at the name without the slash only, so an anchored `^/ws-` finds nothing there and answers
 * 200 with an empty list: a false absence in one line. Hence never an anchor, and only characters that mean at
 * least themselves both as a regular expression and as plain text (a dot also stands for any other character,
 * which is loose and therefore fine).
 */
import { limits } from "../observer/limits.ts";

/** What an Engine allows in a name. */
const NAME_CHARACTERS = /^[a-zA-Z0-9_.-]+$/;

/** Proxies before an Engine refuse long request lines, many at 8 KiB. */
const NAMES_LIMIT_CHARACTERS = 2_000;

/**
 * @param names the only names asked for; undefined: all with the prefix
 * @returns the value of the `filters` parameter, or null to list everything
 */
export function nameFilter(prefix: string, names: readonly string[] | undefined): string | null {
  const wanted = names !== undefined && fitsIntoQuery(names) ? names : [prefix];
  return wanted.every((name) => NAME_CHARACTERS.test(name)) ? JSON.stringify({ name: wanted }) : null;
}

/** Both have to match: a container of these ids that has lost its name to another one is not what is asked for. */
export function idFilter(ids: readonly string[], prefix: string, names: readonly string[]): string | null {
  const name = nameFilter(prefix, names);
  return name !== null && fitsIntoQuery(ids) ? JSON.stringify({ id: ids, ...JSON.parse(name) }) : null;
}

function fitsIntoQuery(names: readonly string[]): boolean {
  return (
    names.length <= limits.secondLookTargeted &&
    names.every((name) => NAME_CHARACTERS.test(name)) &&
    names.reduce((sum, name) => sum + name.length + 3, 0) <= NAMES_LIMIT_CHARACTERS
  );
}

/** Listings until it is looked once more how many strangers there are. */
const FILTERED_LISTINGS = 60;
/** What a filter costs an Engine for a container, of what it costs to list it: a tenth to an eighth was measured. */
const FILTER_COST = 1 / 8;

/**
 * Whether a whole list of containers is worth filtering: only where there are strangers to leave out. Else the filter
 * is the most expensive thing about it that can be left away.
 */
export class FilterWorth {
  #filteredLeft = 0;

  /** For the next listing. */
  isFiltered(): boolean {
    if (this.#filteredLeft === 0) return false;
    this.#filteredLeft -= 1;
    return true;
  }

  /** What an unfiltered listing showed. */
  saw(all: number, ours: number): void {
    this.#filteredLeft = all - ours > all * FILTER_COST ? FILTERED_LISTINGS : 0;
  }
}

/** `/v1.41/volumes?filters=…` */
export function listPath(
  apiVersion: string,
  resource: string,
  query: Readonly<Record<string, string>>,
  filters: string | null,
): string {
  const parameters = new URLSearchParams({ ...query, ...(filters === null ? {} : { filters }) });
  const text = parameters.toString();
  return `/v${apiVersion}/${resource}${text === "" ? "" : `?${text}`}`;
}
