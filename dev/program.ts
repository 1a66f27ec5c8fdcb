// The end of each program that starts services of its own: they are stopped whatever happened, and the exit code tells.
import { stopAllServices } from "./services/scope.ts";

/** @param main whether all is as it should be */
export async function runProgram(main: () => Promise<boolean>): Promise<never> {
  try {
    process.exitCode = (await main()) ? 0 : 1;
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
  } finally {
    await stopAllServices();
  }
  process.exit();
}
