// The thread of a RemoteHost: it does what it is told, and tells how it is.
import { workspaceIds } from "../bench/names.ts";
import { changeUntilWritten } from "./changes.ts";
import { archivesOf, Host } from "./host.ts";
import type { Order, Told } from "./remote-host.ts";

declare const self: Worker;

let host: Host | null = null;
const tell = (told: Told) => self.postMessage(told);

self.onmessage = async ({ data }: MessageEvent<Order>) => {
  if (data.kind === "open") {
    const ids = workspaceIds(data.workspaces);
    host = new Host(data.name, ids.slice(data.from, data.from + data.rows), archivesOf(ids), data.settings);
    setInterval(tellState, 20);
    return;
  }
  if (host === null) throw new Error(`Cannot ${data.kind} a host that was not opened`);
  if (data.kind === "start") await host.start(data.more);
  else if (data.kind === "change")
    await changeUntilWritten(host, data.id).then(
      (written) => tell({ kind: "written", written }),
      (error: Error) => tell({ kind: "unwritten", reason: error.message }),
    );
  else {
    await host.stop();
    tell({ kind: "stopped" });
  }
};

function tellState(): void {
  if (host === null) return;
  const { isTableLeader, isComplete, hasLookedAtTable, faults } = host;
  tell({ kind: "state", isTableLeader, isComplete, hasLookedAtTable, faults });
}
