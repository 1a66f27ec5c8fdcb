/** Serves the status endpoint, and stops on time whatever its clients do. */

export interface StatusServerOptions {
  readonly app: { fetch(request: Request): Response | Promise<Response> };
  /** A name or an address without brackets. */
  readonly hostname: string;
  /** 0: the system chooses. */
  readonly port: number;
}

export interface StatusServer {
  /** `http://127.0.0.1:9464`, with the real port. */
  readonly url: string;
  /** Takes no more connections, lets answers under way finish, and cuts what is left at the deadline. */
  stop(deadlineMs: number): Promise<void>;
}

/** Nothing here is worth holding a connection for; scrapers come every few seconds and reconnect at no cost. */
const IDLE_TIMEOUT_SECONDS = 30;
/** No path reads a body. */
const MOST_BODY_BYTES = 1024;

const MEANING: Readonly<Record<string, string>> = {
  EADDRINUSE: "the address is in use",
  EADDRNOTAVAIL: "this machine has no such address",
  EACCES: "the system doesn't permit it",
};

/** @throws {Error} at once when the address can't be listened on, naming OBSERVER_LISTEN */
export function startStatusServer({ app, hostname, port }: StatusServerOptions): StatusServer {
  const server = listen(app, hostname, port);
  let stopping: Promise<void> | null = null;
  return {
    url: server.url.origin,
    stop: (deadlineMs) => {
      stopping ??= close(server, deadlineMs);
      return stopping;
    },
  };
}

function listen(app: StatusServerOptions["app"], hostname: string, port: number) {
  try {
    return Bun.serve({
      hostname,
      port,
      idleTimeout: IDLE_TIMEOUT_SECONDS,
      maxRequestBodySize: MOST_BODY_BYTES,
      // The development page shows source code and the environment.
      development: false,
      // Production mode shares the port unless told not to: a second instance would start without an error, and a
      // probe would reach now one of them, now the other.
      reusePort: false,
      fetch: (request) => app.fetch(withUsableUrl(request)),
    });
  } catch (cause) {
    const code = (cause as { code?: string }).code ?? "";
    const address = `${hostname.includes(":") ? `[${hostname}]` : hostname}:${port}`;
    const why = MEANING[code] ?? (cause instanceof Error ? cause.message : String(cause));
    throw new Error(
      `Cannot serve the status endpoint on ${address}: ${why}. Set OBSERVER_LISTEN to another address, or to off`,
      { cause },
    );
  }
}

/** Without a Host (HTTP/1.0, as probes of load balancers speak), or with one that is none, there is but a path. */
function withUsableUrl(request: Request): Request {
  if (URL.canParse(request.url)) return request;
  const path = request.url.startsWith("/") ? request.url : `/${request.url.split("/").slice(3).join("/")}`;
  return new Request(`http://observer${path}`, request);
}

async function close(server: Bun.Server<undefined>, deadlineMs: number): Promise<void> {
  const deadline = Promise.withResolvers<void>();
  const timer = setTimeout(deadline.resolve, deadlineMs);
  // The runtime's own stop waits for every open answer, for as long as a client cares to read it.
  await Promise.race([server.stop(), deadline.promise]);
  clearTimeout(timer);
  void server.stop(true);
}
