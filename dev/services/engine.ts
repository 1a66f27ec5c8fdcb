// A Docker Engine client for tests, on purpose not the product's: it checks what the product claims.
import { busyboxRootTar } from "./busybox-image.ts";
import { waitFor } from "./wait.ts";

export const TEST_IMAGE = "ws-test";

export interface ContainerOptions {
  readonly name: string;
  /** Default `ws-test`, the imported busybox. */
  readonly image?: string;
  /** Default: sleeps for ever. As process 1 it ignores SIGTERM, so a stop ends in SIGKILL and exit code 137. */
  readonly cmd?: readonly string[];
  /** Volume mounted at /home; made when it isn't there. */
  readonly volume?: string;
  readonly healthcheck?: {
    readonly cmd: readonly string[];
    readonly intervalMs?: number;
    readonly timeoutMs?: number;
    readonly retries?: number;
    readonly startPeriodMs?: number;
  };
  readonly labels?: Readonly<Record<string, string>>;
  readonly env?: readonly string[];
  readonly memoryBytes?: number;
  readonly restartPolicy?: "no" | "always" | "on-failure" | "unless-stopped";
  /** How long a stop waits before SIGKILL. Default 1 s. */
  readonly stopTimeoutSeconds?: number;
  /** Default: no network, since the private daemon has no bridge. "none" means the same, but takes twice as long. */
  readonly networkMode?: string;
}

/** The few fields that tests look at; the Engine sends more. */
export interface ContainerDetails {
  readonly Id: string;
  readonly Name: string;
  readonly State: {
    readonly Status: string;
    readonly Running: boolean;
    readonly Paused: boolean;
    readonly OOMKilled: boolean;
    readonly Pid: number;
    readonly ExitCode: number;
    readonly StartedAt: string;
    readonly FinishedAt: string;
    readonly Health?: { readonly Status: string };
  };
}

/** What every container gets, on an Engine that needs it. */
export interface ContainerDefaults {
  readonly cgroupParent?: string;
  readonly networkMode?: string;
  readonly stopTimeoutSeconds?: number;
}

export type EngineClient = ReturnType<typeof engineClient>;

export function engineClient(socketPath: string, defaults: ContainerDefaults = {}) {
  /** Sends one request; throws on any status but 2xx and 304 ("it was so already"). An empty body is null. */
  async function request<T = unknown>(
    method: string,
    path: string,
    body?: unknown,
    deadlineMs = 60_000,
  ): Promise<T> {
    const isTar = body instanceof Uint8Array;
    const response = await fetch(`http://engine${path}`, {
      unix: socketPath,
      method,
      signal: AbortSignal.timeout(deadlineMs),
      ...(body !== undefined && {
        body: isTar ? (body as Uint8Array<ArrayBuffer>) : JSON.stringify(body),
        headers: { "content-type": isTar ? "application/x-tar" : "application/json" },
      }),
    });
    const text = await response.text();
    if (!response.ok && response.status !== 304) {
      throw new Error(`Cannot ${method} ${path}: the Engine answered ${response.status} ${text.trim()}`);
    }
    // Progress streams are many JSON documents and of no interest but for their errors.
    if (text.includes('"errorDetail"')) throw new Error(`Cannot ${method} ${path}: ${text.trim()}`);
    return (text.trim() === "" || isTar ? null : JSON.parse(text)) as T;
  }

  const container = (id: string) => `/containers/${encodeURIComponent(id)}`;

  const client = {
    request,
    async ping(): Promise<boolean> {
      const response = await fetch("http://engine/_ping", {
        unix: socketPath,
        signal: AbortSignal.timeout(1_000),
      });
      return response.ok && (await response.text()) === "OK";
    },
    version: () => request<{ Version: string; ApiVersion: string }>("GET", "/version"),

    async importBusybox(name = TEST_IMAGE): Promise<void> {
      const query = new URLSearchParams({ fromSrc: "-", repo: name, tag: "latest" });
      await request("POST", `/images/create?${query}`, busyboxRootTar());
    },

    /** Returns the container's id. */
    async create(options: ContainerOptions): Promise<string> {
      const { healthcheck } = options;
      const networkMode = options.networkMode ?? defaults.networkMode;
      const nanos = (ms: number) => ms * 1_000_000;
      const answer = await request<{ Id: string }>(
        "POST",
        `/containers/create?${new URLSearchParams({ name: options.name })}`,
        {
          Image: options.image ?? TEST_IMAGE,
          Cmd: options.cmd ?? ["/bin/sleep", "infinity"],
          Env: options.env ?? [],
          Labels: options.labels ?? {},
          StopTimeout: options.stopTimeoutSeconds ?? defaults.stopTimeoutSeconds ?? 1,
          ...(healthcheck && {
            Healthcheck: {
              Test: ["CMD", ...healthcheck.cmd],
              Interval: nanos(healthcheck.intervalMs ?? 200),
              Timeout: nanos(healthcheck.timeoutMs ?? 5_000),
              Retries: healthcheck.retries ?? 1,
              StartPeriod: nanos(healthcheck.startPeriodMs ?? 0),
            },
          }),
          HostConfig: {
            ...(networkMode !== undefined && { NetworkMode: networkMode }),
            ...(defaults.cgroupParent !== undefined && { CgroupParent: defaults.cgroupParent }),
            RestartPolicy: { Name: options.restartPolicy ?? "no" },
            ...(options.volume !== undefined && { Binds: [`${options.volume}:/home`] }),
            ...(options.memoryBytes !== undefined && { Memory: options.memoryBytes }),
          },
        },
      );
      return answer.Id;
    },
    start: (id: string) => request<null>("POST", `${container(id)}/start`),
    /** Creates and starts; returns the id. */
    async run(options: ContainerOptions): Promise<string> {
      const id = await client.create(options);
      await client.start(id);
      return id;
    },
    stop: (id: string, timeoutSeconds?: number) =>
      request<null>(
        "POST",
        `${container(id)}/stop${timeoutSeconds === undefined ? "" : `?t=${timeoutSeconds}`}`,
      ),
    kill: (id: string, signal = "SIGKILL") => request<null>("POST", `${container(id)}/kill?signal=${signal}`),
    restart: (id: string) => request<null>("POST", `${container(id)}/restart`),
    pause: (id: string) => request<null>("POST", `${container(id)}/pause`),
    unpause: (id: string) => request<null>("POST", `${container(id)}/unpause`),
    rename: (id: string, name: string) =>
      request<null>("POST", `${container(id)}/rename?${new URLSearchParams({ name })}`),
    /** Kills it where it runs; its named volume stays. */
    remove: (id: string) => request<null>("DELETE", `${container(id)}?force=1`),
    inspect: (id: string) => request<ContainerDetails>("GET", `${container(id)}/json`),
    /** Waits until it runs no more; returns the exit code. */
    async waitForExit(id: string): Promise<number> {
      return (await request<{ StatusCode: number }>("POST", `${container(id)}/wait`)).StatusCode;
    },
    /**
     * Runs one that needs more memory than it may have. On a busy machine the Engine now and then never hears why it was
     * killed, one time in ten: then it is run again.
     */
    async runOutOfMemory(options: Pick<ContainerOptions, "name" | "volume">): Promise<void> {
      // dd takes its whole block into memory.
      const cmd = ["/bin/dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"];
      for (let attempt = 1; ; attempt++) {
        const id = await client.run({ ...options, cmd, memoryBytes: 8 * 1024 * 1024 });
        await client.waitForExit(id);
        const isTold = await waitFor(
          "the Engine to tell",
          1_000,
          async () => (await client.inspect(id)).State.OOMKilled,
        ).catch(() => false);
        if (isTold) return;
        if (attempt === 5) throw new Error(`The Engine never tells that ${options.name} ran out of memory`);
        await client.remove(id);
      }
    },
    waitForHealth: (id: string, status: "healthy" | "unhealthy" | "starting", deadlineMs = 20_000) =>
      waitFor(`container ${id} to be ${status}`, deadlineMs, async () => {
        return (await client.inspect(id)).State.Health?.Status === status;
      }),
    list: () =>
      request<Array<{ Id: string; Names: string[]; State: string }>>("GET", "/containers/json?all=1"),

    createVolume: (name: string, labels: Record<string, string> = {}) =>
      request<{ Name: string }>("POST", "/volumes/create", { Name: name, Labels: labels }),
    removeVolume: (name: string, { force = false } = {}) =>
      request<null>("DELETE", `/volumes/${encodeURIComponent(name)}${force ? "?force=1" : ""}`),
    async listVolumes(): Promise<string[]> {
      const answer = await request<{ Volumes: Array<{ Name: string }> | null }>("GET", "/volumes");
      return (answer.Volumes ?? []).map((volume) => volume.Name);
    },

    /** Removes every container and every volume: a clean Engine for the next test. */
    async removeAll(): Promise<void> {
      await inParallel(await client.list(), 8, ({ Id }) => client.remove(Id));
      await inParallel(await client.listVolumes(), 8, (name) => client.removeVolume(name, { force: true }));
    },
  };
  return client;
}

/** Runs `work` on every item, at most `width` at a time. */
export async function inParallel<T>(items: readonly T[], width: number, work: (item: T) => Promise<unknown>) {
  const queue = items.values();
  await Promise.all(
    Array.from({ length: width }, async () => {
      for (const item of queue) await work(item);
    }),
  );
}
