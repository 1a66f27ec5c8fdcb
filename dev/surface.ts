/** The command line as it is, for what is generated of it: no command is ever called. */
import { type Commands, createProgram } from "../src/cli.ts";
import { type Surface, surfaceOf } from "../src/cli-surface.ts";

export const observerSurface = (): Surface =>
  surfaceOf(createProgram({} as Commands, { version: "0", commit: "0", runtime: "0" }, () => {}));
