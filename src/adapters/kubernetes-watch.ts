/**
 * The API's watches of pods and claims as one source of hints (P9): they tell where to look, and make it sooner.
 *
 *   listing ──version──▶ connecting ──headers──▶ watching ──ended in time──▶ connecting, from the last version
 *      ▲                     │ failed                │ failed, silent
 *      └── 410: too old ── pausing (onDown) ◀────────┘
 *
 * The listing at the start tells what is there at the version from which the watch goes on, so that an event which shows
 * the same again is no hint. A bookmark moves the version on while nothing happens. Whoever was down asks for a look
 * (onUp) when both watches are there again; a watch that only ended in time missed nothing.
 */
import type { WorkspaceId } from "../observer/names.ts";
import type { Clock, HintListener, HintSource, Subject } from "../observer/ports.ts";
import { excerpt } from "./foreign-text.ts";
import { seeClaim } from "./kubernetes-claims.ts";
import { explainFailedConnection, KubernetesFault } from "./kubernetes-fault.ts";
import { type Fields, fieldsOf, textOf } from "./kubernetes-fields.ts";
import { listObjects, pathOf, type Resource, selectorOf } from "./kubernetes-list.ts";
import { workspaceOf } from "./kubernetes-names.ts";
import { identityIn, seePod } from "./kubernetes-pods.ts";
import { createKubernetesTransport, type KubernetesEndpoint } from "./kubernetes-transport.ts";
import { createLineSplitter } from "./line-splitter.ts";

export interface KubernetesEventsOptions {
  readonly endpoint: KubernetesEndpoint;
  readonly prefix: string;
  readonly clock: Clock;
  /** 0 to 1, as Math.random. */
  readonly random: () => number;
  /** How long a watch is asked to last; only tests need another. */
  readonly watchMs?: number;
}

const BACKOFF_FIRST_MS = 100;
const BACKOFF_LAST_MS = 5_000;
/** The first listing is a few pages; headers come at once. */
const CONNECT_TIMEOUT_MS = 30_000;
/** The server ends a watch after so long. A peer that vanished without a word is not trusted longer either. */
const WATCH_MS = 5 * 60_000;
const OVERTIME_MS = 30_000;

/** What was last told of each object; of the least recently heard of nothing is remembered. */
const REMEMBERED = 100_000;

export function createKubernetesEvents(options: KubernetesEventsOptions): HintSource {
  const { endpoint, prefix, clock, random, watchMs = WATCH_MS } = options;
  const transport = createKubernetesTransport(endpoint);

  /** One resource, for ever. */
  async function watch(resource: Resource, listener: HintListener, signal: AbortSignal): Promise<void> {
    const told = new Told(endpoint, resource, prefix);
    let version: string | null = null;
    let isUp = false;
    let pauseMs = BACKOFF_FIRST_MS;
    while (!signal.aborted) {
      const startedMs = clock.monotonicMs();
      let cause: unknown = null;
      try {
        await follow();
        if (clock.monotonicMs() - startedMs < Math.min(BACKOFF_LAST_MS, watchMs / 2))
          cause = new KubernetesFault("the API server ended the watch at once");
      } catch (error) {
        cause = error;
      }
      if (signal.aborted) return;
      if (cause === null) continue;
      if (cause instanceof KubernetesFault && cause.isExpired) version = null;
      isUp = false;
      const text = cause instanceof Error ? cause.message : String(cause);
      listener.onDown(new Error(`Cannot watch ${resource}: ${text}`, { cause }));
      if (clock.monotonicMs() - startedMs > BACKOFF_LAST_MS) pauseMs = BACKOFF_FIRST_MS;
      await clock.sleep(pauseMs * (0.5 + random() / 2), signal);
      pauseMs = Math.min(pauseMs * 2, BACKOFF_LAST_MS);
    }

    async function follow(): Promise<void> {
      const connection = new AbortController();
      const both = AbortSignal.any([signal, connection.signal]);
      let timer = startTimer(CONNECT_TIMEOUT_MS);
      try {
        if (version === null) {
          told.forgetAll();
          const parse = (object: Fields) => void told.isNews(object);
          version = (await listObjects(transport, endpoint, resource, {}, parse, both)).resourceVersion;
        }
        const parameters = {
          watch: "1",
          allowWatchBookmarks: "true",
          resourceVersion: version,
          timeoutSeconds: String(Math.ceil(watchMs / 1000)),
          ...selectorOf(endpoint),
        };
        const stream = await transport.openStream(
          pathOf(endpoint, resource, parameters),
          { verb: "watch", resource },
          both,
        );
        await timer.stop();
        timer = startTimer(watchMs + OVERTIME_MS);
        if (!isUp) {
          isUp = true;
          listener.onUp();
        }
        const splitLines = createLineSplitter();
        for await (const bytes of stream) {
          const subjects: Subject[] = [];
          let isAnything = false;
          try {
            for (const line of splitLines(bytes)) {
              const heard = hear(line);
              if (heard === null) isAnything = true;
              else subjects.push(...heard);
            }
          } finally {
            if (isAnything) listener.onHint();
            else if (subjects.length > 0) listener.onHint(subjects);
          }
        }
      } catch (error) {
        if (error instanceof KubernetesFault) throw error;
        if (!both.aborted) throw explainFailedConnection(error, endpoint.server);
        throw new KubernetesFault("the API server was silent", { cause: both.reason });
      } finally {
        connection.abort();
        await timer.stop();
      }

      function startTimer(ms: number) {
        const stopping = new AbortController();
        const ended = clock.sleep(ms, stopping.signal).then(() => {
          if (!stopping.signal.aborted) connection.abort(new Error(`${ms} ms have passed`));
        });
        return {
          stop() {
            stopping.abort();
            return ended;
          },
        };
      }
    }

    /** What a line says that may have changed; null: anything. */
    function hear(line: string | null): readonly Subject[] | null {
      if (line === null) return null;
      if (line.trim() === "") return [];
      let event: Fields;
      try {
        event = fieldsOf(JSON.parse(line));
      } catch {
        return null;
      }
      const object = fieldsOf(event.object);
      if (event.type === "ERROR") {
        const status = typeof object.code === "number" ? object.code : 0;
        const message = excerpt(textOf(object.message) ?? "an error");
        throw new KubernetesFault(`the API server says ${status} "${message}"`, { status });
      }
      version = textOf(fieldsOf(object.metadata).resourceVersion) ?? version;
      if (event.type === "BOOKMARK") return [];
      try {
        return event.type === "DELETED" ? told.left(object) : told.isNews(object);
      } catch {
        return null;
      }
    }
  }

  return {
    async listen(listener: HintListener, signal: AbortSignal): Promise<void> {
      const isUp = { pods: false, persistentvolumeclaims: false };
      const forResource = (resource: Resource): HintListener => ({
        onHint: (subjects) => listener.onHint(subjects),
        onUp: () => {
          isUp[resource] = true;
          if (isUp.pods && isUp.persistentvolumeclaims) listener.onUp();
        },
        onDown: (cause) => {
          isUp[resource] = false;
          listener.onDown(cause);
        },
      });
      await Promise.all(
        (["pods", "persistentvolumeclaims"] as const).map((resource) =>
          watch(resource, forResource(resource), signal),
        ),
      );
    },
  };
}

interface Remembered {
  readonly workspace: WorkspaceId;
  /** Of what a listing would show. */
  readonly digest: number | bigint;
}

class Told {
  readonly #told = new Map<string, Remembered>();

  constructor(
    private readonly endpoint: KubernetesEndpoint,
    private readonly resource: Resource,
    private readonly prefix: string,
  ) {}

  forgetAll(): void {
    this.#told.clear();
  }

  /** Whom an object concerns of which a listing shows something else now; by its label it may have changed hands. */
  isNews(object: Fields): readonly Subject[] {
    const identity = identityIn(object);
    const { uid } = identity;
    const before = this.#told.get(uid);
    this.#told.delete(uid);
    const workspace = workspaceOf(this.endpoint, this.resource, this.prefix, identity);
    if (workspace !== null) {
      const { restarts: _, ...seen } =
        this.resource === "pods" ? seePod(object) : { ...seeClaim(object), restarts: 0 };
      const digest = Bun.hash(JSON.stringify(seen));
      this.#told.set(uid, { workspace, digest });
      if (this.#told.size > REMEMBERED) this.#told.delete(this.#told.keys().next().value!);
      if (before?.workspace === workspace && before.digest === digest) return [];
    }
    return this.#subjects(uid, new Set([before?.workspace, workspace]));
  }

  left(object: Fields): readonly Subject[] {
    const identity = identityIn(object);
    const before = this.#told.get(identity.uid);
    this.#told.delete(identity.uid);
    const workspace = workspaceOf(this.endpoint, this.resource, this.prefix, identity);
    return this.#subjects(identity.uid, new Set([before?.workspace, workspace]));
  }

  #subjects(uid: string, workspaces: ReadonlySet<WorkspaceId | null | undefined>): readonly Subject[] {
    const containerId = this.resource === "pods" ? uid : null;
    return [...workspaces].flatMap((workspace) =>
      workspace === null || workspace === undefined ? [] : [{ workspace, containerId }],
    );
  }
}
