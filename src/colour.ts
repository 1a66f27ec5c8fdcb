/** Whether standard output takes colours: https://no-color.org, and terminals that know none. */
export const isColourful = (
  isTerminal: boolean = process.stdout.isTTY === true,
  env: Readonly<Record<string, string | undefined>> = process.env,
): boolean => isTerminal && !env.NO_COLOR && env.TERM !== "dumb";
