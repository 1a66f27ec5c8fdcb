// A private S3 server: Ceph's RADOS Gateway, by ceph-rgw.sh.
import { homedir } from "node:os";
import { join } from "node:path";
import { runCommand } from "./process.ts";
import { FOLDER_VARIABLE, isAlive, processStat, signalProcess } from "./procfs.ts";
import { inScope } from "./scope.ts";
import { waitFor } from "./wait.ts";

export interface S3Options {
  /** Index shards per bucket. 1 (default) gives full pages; with 11, Ceph's own default, pages may be short yet truncated. */
  readonly shards?: number;
}

export interface S3 {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  /** Of a second user with the same secret, who owns nothing of the first one's. */
  readonly otherAccessKeyId: string;
  readonly folder: string;
  readonly gatewayPid: number;
  /** The settings that the AWS SDK and the Observer read, but for the bucket. */
  readonly env: Readonly<Record<string, string>>;
  createBucket(name: string): Promise<void>;
  /** Signals the gateway. Stopped by SIGSTOP it accepts connections and never answers. */
  killGateway(signal: NodeJS.Signals): void;
  /** Ends the gateway where it runs and starts it again on the same port and data. */
  restartGateway(): Promise<void>;
  stop(): Promise<void>;
}

/** Where the unpacked packages live: `S3_PKG`, or below the user's cache folder. */
export function cephPackageFolder(): string {
  return (
    process.env.S3_PKG ?? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "ceph-rgw-deb12")
  );
}

/** Runs ceph-rgw.sh; needs Debian. */
export async function runCephScript(
  args: readonly string[],
  env: Record<string, string> = {},
  deadlineMs = 300_000,
): Promise<string> {
  return await runCommand(["bash", join(import.meta.dir, "ceph-rgw.sh"), ...args], {
    env: { S3_PKG: cephPackageFolder(), ...env },
    deadlineMs,
  });
}

export async function startS3(options: S3Options = {}): Promise<S3> {
  return await inScope("s3", async (scope) => {
    const folder = join(scope.folder, "ceph");
    const scriptEnv = { S3_SHARDS: String(options.shards ?? 1), [FOLDER_VARIABLE]: scope.folder };
    let settings = parseSettings(await runCephScript(["start", folder], scriptEnv));
    const setting = (name: string): string => {
      const value = settings.get(name);
      if (value === undefined) throw new Error(`Cannot read ${name} from what ceph-rgw.sh printed`);
      return value;
    };
    const gateway = () => {
      const pid = Number(setting("S3_GATEWAY_PID"));
      return { pid, startTicks: processStat(pid)?.startTicks ?? "ended" };
    };
    let current = gateway();
    const env = {
      AWS_ENDPOINT_URL_S3: setting("S3_ENDPOINT"),
      AWS_REGION: setting("AWS_REGION"),
      AWS_ACCESS_KEY_ID: setting("AWS_ACCESS_KEY_ID"),
      AWS_SECRET_ACCESS_KEY: setting("AWS_SECRET_ACCESS_KEY"),
      S3_FORCE_PATH_STYLE: "true",
    };
    return {
      endpoint: env.AWS_ENDPOINT_URL_S3,
      region: env.AWS_REGION,
      accessKeyId: env.AWS_ACCESS_KEY_ID,
      secretAccessKey: env.AWS_SECRET_ACCESS_KEY,
      otherAccessKeyId: setting("S3_OTHER_ACCESS_KEY_ID"),
      folder: scope.folder,
      env,
      get gatewayPid() {
        return current.pid;
      },
      async createBucket(name) {
        const { CreateBucketCommand, S3Client } = await import("@aws-sdk/client-s3");
        const client = new S3Client({
          endpoint: env.AWS_ENDPOINT_URL_S3,
          region: env.AWS_REGION,
          credentials: { accessKeyId: env.AWS_ACCESS_KEY_ID, secretAccessKey: env.AWS_SECRET_ACCESS_KEY },
          forcePathStyle: true,
        });
        try {
          await client.send(new CreateBucketCommand({ Bucket: name }), {
            abortSignal: AbortSignal.timeout(10_000),
          });
        } finally {
          client.destroy();
        }
      },
      killGateway: (signal) => void signalProcess(current, signal),
      async restartGateway() {
        // Killed rather than asked: it holds nothing that the osd doesn't have.
        signalProcess(current, "SIGKILL");
        await waitFor("the gateway to end", 10_000, () => !isAlive(current));
        settings = parseSettings(await runCephScript(["restart-gateway", folder], scriptEnv));
        current = gateway();
      },
      stop: scope.stop,
    };
  });
}

function parseSettings(text: string): Map<string, string> {
  const pairs = text.split("\n").flatMap((line) => {
    const match = /^([A-Z0-9_]+)=(.*)$/.exec(line);
    return match ? [[match[1] ?? "", match[2] ?? ""] as const] : [];
  });
  return new Map(pairs);
}
