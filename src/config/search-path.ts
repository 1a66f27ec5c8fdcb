/** The schema search path out of a database URL: `search_path=a,b` or `options=-csearch_path=a,b`. */

export function searchPathOf(
  parameters: ReadonlyMap<string, string>,
  problem: (what: string) => void,
): string | null {
  const direct = parameters.get("search_path") || null;
  const options = parameters.get("options");
  const inOptions = options === undefined ? null : searchPathInOptions(options, problem);
  if (direct !== null && inOptions !== null) problem("names search_path twice, also in its options");
  const searchPath = direct ?? inOptions;
  if (searchPath !== null && /[\u0000-\u001f\u007f]/.test(searchPath))
    problem("has a control character in its search_path");
  return searchPath;
}

/** The server's command line: words apart by spaces, a backslash before a space that belongs to a word. */
function searchPathInOptions(options: string, problem: (what: string) => void): string | null {
  const words = [...options.matchAll(/(?:\\.|[^\\\s])+/g)].map(([word]) => word.replace(/\\(.)/g, "$1"));
  let searchPath: string | null = null;
  for (let i = 0; i < words.length; i++) {
    const word = words[i] === "-c" ? `-c${words[++i] ?? ""}` : (words[i] as string);
    const match = /^(?:-c|--)search[_-]path=(.+)$/.exec(word);
    if (match === null) {
      problem("has options with something else than -csearch_path=…, the only one that is supported");
      return null;
    }
    searchPath = match[1] as string;
  }
  return searchPath;
}
