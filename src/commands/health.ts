/** `observer health`: is the instance that this environment describes live? */
import type { StatusConfig } from "../config.ts";
import { exitCode } from "../exit-codes.ts";
import { endpointOf, whyUnreachable } from "./status-source.ts";
import { print, printable } from "./terminal.ts";

const TIMEOUT_MS = 3_000;

export async function health({ listen }: StatusConfig): Promise<number> {
  if (listen === null) {
    await print("Cannot ask for health: OBSERVER_LISTEN is off");
    return exitCode.failed;
  }
  const url = `${endpointOf(listen)}/healthz`;
  try {
    const response = await fetch(url, {
      signal: AbortSignal.timeout(TIMEOUT_MS),
      redirect: "manual",
      // It is on this machine, whatever proxy the environment names for others.
      proxy: false,
    });
    await print(printable((await response.text()).trim()));
    return response.status === 200 ? exitCode.ok : exitCode.failed;
  } catch (cause) {
    await print(`Cannot ask ${url}: ${printable(whyUnreachable(cause))}`);
    return exitCode.failed;
  }
}
