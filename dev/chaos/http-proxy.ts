// Between a client and a real HTTP server: what proxies, networks and dying servers do to requests and answers.
import { rmSync } from "node:fs";
import {
  createServer as createHttpServer,
  type IncomingMessage,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import { createServer, type Server as NetServer, type Socket } from "node:net";
import { beforeAnswer, FaultBoard, sendAnswer } from "../fakes/faults.ts";
import type { Address } from "../services/sockets.ts";

export interface HttpProxyOptions<Route extends string> {
  readonly listen: Address;
  readonly target: Address;
  readonly routeOf: (path: string) => Route;
  /** Answers that never end: handed on as they come, and cut by `cutStreams`. */
  readonly stream?: Route;
}

/** A client that reads takes in a burst in milliseconds. */
const INJECT_DEADLINE_MS = 2_000;

/** Waits before the request is handed on and before the answer is: a listing that is late, and one that is old. */
export type Delays<Route> = (route: Route) => { readonly beforeMs: number; readonly afterMs: number };

export class HttpProxy<Route extends string> {
  readonly faults = new FaultBoard<Route>();
  delays: Delays<Route> | null = null;
  /** Changes a request's headers on their way. */
  rewriteHeaders: ((headers: Record<string, string>) => void) | null = null;
  target: Address;
  /** While true, nothing passes on a stream, though it stays open. */
  mute = false;
  requests = 0;
  /** Told of each request's path with its query. */
  onRequest: ((path: string) => void) | null = null;
  readonly #streams = new Set<ServerResponse>();
  #server: Server | null = null;
  #silent: NetServer | null = null;
  readonly #silenced = new Set<Socket>();

  constructor(private readonly options: HttpProxyOptions<Route>) {
    this.target = options.target;
  }

  async accept(): Promise<void> {
    await this.#closeSilent();
    if (this.#server !== null) return;
    this.#server = createHttpServer((incoming, response) => {
      this.#handle(incoming, response).catch(() => incoming.socket.destroy());
    });
    await listen(this.#server, this.options.listen);
  }

  /** Nobody listens any more, and every connection is cut; a unix socket's file is gone too. */
  async refuse(): Promise<void> {
    await this.#closeSilent();
    const server = this.#server;
    this.#server = null;
    if (server !== null) {
      server.close();
      server.closeAllConnections();
    }
    if ("path" in this.options.listen) rmSync(this.options.listen.path, { force: true });
  }

  /** Somebody listens there who accepts and never says a word. */
  async beSilent(): Promise<void> {
    await this.refuse();
    this.#silent = createServer((socket) => {
      this.#silenced.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.#silenced.delete(socket));
    });
    await listen(this.#silent, this.options.listen);
  }

  /**
   * Says something more on every open stream, between what the server itself says.
   * @returns on how many, once they have taken it in
   */
  async inject(text: string): Promise<number> {
    const streams = [...this.#streams].filter((response) => !response.destroyed);
    const taken = streams.map((response) => {
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const isGone = () => resolve(false);
      // One that is cut in mid-write calls nobody back.
      const timer = setTimeout(isGone, INJECT_DEADLINE_MS);
      response.once("close", isGone);
      response.write(text, (error) => resolve(!error));
      return promise.finally(() => {
        clearTimeout(timer);
        response.off("close", isGone);
      });
    });
    return (await Promise.all(taken)).filter(Boolean).length;
  }

  cutStreams(): void {
    for (const response of this.#streams) response.req.socket.destroy();
  }

  cutAll(): void {
    this.#server?.closeAllConnections();
    this.cutStreams();
  }

  /** As it was at the beginning. */
  async heal(): Promise<void> {
    this.faults.clear();
    this.delays = null;
    this.rewriteHeaders = null;
    this.mute = false;
    this.onRequest = null;
    this.target = this.options.target;
    await this.accept();
  }

  async #closeSilent(): Promise<void> {
    const silent = this.#silent;
    this.#silent = null;
    if (silent === null) return;
    silent.close();
    for (const socket of this.#silenced) socket.destroy();
    if ("path" in this.options.listen) rmSync(this.options.listen.path, { force: true });
  }

  async #handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests += 1;
    this.onRequest?.(incoming.url ?? "/");
    const route = this.options.routeOf(incoming.url ?? "/");
    const fault = this.faults.take(route);
    const delays = this.delays?.(route);
    if (fault?.hang || fault?.reset) {
      await beforeAnswer(response, fault);
      return;
    }
    if (delays) await Bun.sleep(delays.beforeMs);
    const answer = await this.#ask(incoming, response);
    if (route === this.options.stream) {
      this.#pass(answer, response);
      return;
    }
    const parts: Buffer[] = [];
    for await (const part of answer) parts.push(part as Buffer);
    if (delays) await Bun.sleep(delays.afterMs);
    if (response.destroyed || !(await beforeAnswer(response, fault))) return;
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(answer.headers)) {
      if (!HOP_BY_HOP.has(name) && value !== undefined) headers[name] = String(value);
    }
    await sendAnswer(
      response,
      { status: answer.statusCode ?? 502, headers, body: Buffer.concat(parts) },
      fault,
    );
  }

  #ask(incoming: IncomingMessage, response: ServerResponse): Promise<IncomingMessage> {
    const headers: Record<string, string> = {};
    for (const [name, value] of Object.entries(incoming.headers)) {
      if (name !== "connection" && value !== undefined) headers[name] = String(value);
    }
    this.rewriteHeaders?.(headers);
    const target = this.target;
    return new Promise((resolve, reject) => {
      const outgoing = request(
        {
          ...("path" in target ? { socketPath: target.path } : target),
          method: incoming.method ?? "GET",
          path: incoming.url ?? "/",
          headers,
          agent: false,
        },
        resolve,
      );
      outgoing.on("error", reject);
      response.on("close", () => outgoing.destroy());
      outgoing.end();
    });
  }

  #pass(answer: IncomingMessage, response: ServerResponse): void {
    this.#streams.add(response);
    response.writeHead(answer.statusCode ?? 502, { "content-type": "application/json" });
    response.flushHeaders();
    answer.on("data", (part) => {
      if (!this.mute) response.write(part);
    });
    answer.on("end", () => response.end());
    answer.on("error", () => response.req.socket.destroy());
    answer.on("close", () => response.req.socket.destroy());
    response.on("close", () => {
      this.#streams.delete(response);
      answer.destroy();
    });
  }
}

const HOP_BY_HOP = new Set(["connection", "keep-alive", "transfer-encoding", "content-length"]);

function listen(server: Server | NetServer, address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(address, () => resolve());
  });
}
