// A proxy in front of the real S3 gateway that spoils the pages of a listing on request. The pages are the gateway's
// own, so what is tested is what a real listing with one fault in it leads to.
import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { type Answer, beforeAnswer, type Fault, sendAnswer } from "../../dev/fakes/faults.ts";

export interface FaultyGateway {
  readonly endpoint: string;
  /** Requests since the last `spoil()`, as the number of the page that they asked for. */
  readonly pagesAsked: readonly number[];
  /** And how each was signed. */
  readonly signatures: readonly string[];
  readonly openConnections: number;
  /** From now on the answer to page `n` (from 1) has this fault. */
  spoil(faultOf: (page: number) => Fault | undefined): void;
  stop(): Promise<void>;
}

export async function startFaultyGateway(target: string): Promise<FaultyGateway> {
  const sockets = new Set<Socket>();
  const pageOfToken = new Map<string, number>();
  let pagesAsked: number[] = [];
  let signatures: string[] = [];
  let faultOf: (page: number) => Fault | undefined = () => undefined;

  const server = createServer((incoming, response) => {
    void serve(incoming, response).catch((error: unknown) => response.destroy(error as Error));
  });
  // Idle connections end when the client ends them, so that one that is left open is seen.
  server.keepAliveTimeout = 0;
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });

  async function serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const token = new URL(incoming.url ?? "", target).searchParams.get("continuation-token");
    const page = token === null ? 1 : (pageOfToken.get(token) ?? 0);
    pagesAsked.push(page);
    signatures.push(incoming.headers.authorization ?? "");
    const fault = faultOf(page);
    const answer = await forward(target, incoming);
    const next = /<NextContinuationToken>(.*?)<\/NextContinuationToken>/.exec(String(answer.body))?.[1];
    if (next !== undefined) pageOfToken.set(next, page + 1);
    if (await beforeAnswer(response, fault)) await sendAnswer(response, answer, fault);
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get pagesAsked() {
      return pagesAsked;
    },
    get signatures() {
      return signatures;
    },
    get openConnections() {
      return sockets.size;
    },
    spoil(next) {
      faultOf = next;
      pagesAsked = [];
      signatures = [];
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The request as it is, its Host too: the signature covers it. */
function forward(target: string, incoming: IncomingMessage): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(target);
    const outgoing = request(
      {
        hostname,
        port,
        path: incoming.url,
        method: incoming.method,
        headers: incoming.headers,
        agent: false,
      },
      (reply) => {
        const chunks: Buffer[] = [];
        reply.on("data", (chunk: Buffer) => chunks.push(chunk));
        reply.on("error", reject);
        reply.on("end", () =>
          resolve({
            status: reply.statusCode ?? 0,
            headers: { "Content-Type": reply.headers["content-type"] ?? "application/xml" },
            body: Buffer.concat(chunks),
          }),
        );
      },
    );
    outgoing.on("error", reject);
    outgoing.end();
  });
}
