// A proxy as people put it before the page: it speaks TLS, or is one that browsers are told of, and passes everything on as it comes.
import { makeCertificates } from "../../dev/services/certificates.ts";
import { openScope } from "../../dev/services/scope.ts";

export interface WebProxyOptions {
  readonly tls: boolean;
  /** Whether the name that the browser asked for is passed on; many proxies put the target's own in its place. */
  readonly passesHost: boolean;
}

export async function startWebProxy(target: string, { tls, passesHost }: WebProxyOptions) {
  const scope = openScope("web-proxy");
  const certificates = tls ? await makeCertificates(scope.folder) : null;
  const server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    idleTimeout: 0,
    ...(certificates && {
      tls: { cert: Bun.file(certificates.certPath), key: Bun.file(certificates.keyPath) },
    }),
    async fetch(request) {
      const { pathname, search } = new URL(request.url);
      const headers = new Headers(request.headers);
      if (!passesHost) headers.delete("host");
      if (tls) headers.set("x-forwarded-proto", "https");
      const answer = await fetch(new URL(pathname + search, target), {
        method: request.method,
        headers,
        redirect: "manual",
        signal: request.signal,
        body: request.method === "POST" ? await request.arrayBuffer() : null,
      });
      return new Response(answer.body, { status: answer.status, headers: answer.headers });
    },
  });
  return {
    url: server.url.origin,
    async stop(): Promise<void> {
      await server.stop(true);
      await scope.stop();
    },
  };
}
