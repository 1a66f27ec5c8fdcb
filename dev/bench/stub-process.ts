// Starts the simulated S3 store in another process.
import { join } from "node:path";
import { FOLDER_VARIABLE } from "../services/procfs.ts";
import { openScope } from "../services/scope.ts";
import type { S3Access } from "./s3-requests.ts";

export interface StubProcess {
  readonly access: S3Access;
  readonly env: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

export async function startStubProcess(workspaces: number, delayMs: number): Promise<StubProcess> {
  const scope = openScope("stub");
  const child = Bun.spawn(
    [process.execPath, join(import.meta.dir, "s3-stub.ts"), String(workspaces), String(delayMs)],
    {
      cwd: scope.folder,
      env: { PATH: process.env.PATH ?? "", [FOLDER_VARIABLE]: scope.folder },
      stdin: "pipe",
      stdout: "pipe",
      stderr: "inherit",
    },
  );
  const stop = async () => {
    await child.stdin.end();
    await child.exited;
    await scope.stop();
  };
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  reader.releaseLock();
  if (value === undefined) {
    await stop();
    throw new Error(`Cannot start the simulated S3 store: it ended with ${child.exitCode}`);
  }
  const { endpoint, region, accessKeyId, secretAccessKey } = JSON.parse(
    new TextDecoder().decode(value),
  ) as Omit<S3Access, "bucket">;
  return {
    access: { endpoint, region, accessKeyId, secretAccessKey, bucket: "workspaces", isOpen: true },
    env: {
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_REGION: region,
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      S3_FORCE_PATH_STYLE: "true",
    },
    stop,
  };
}
