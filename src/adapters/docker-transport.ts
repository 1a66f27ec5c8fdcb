/** HTTP to an Engine, over its unix socket or TCP, with plain `fetch`. Everything rejects with an EngineFault. */
import * as v from "valibot";
import {
  type DockerEndpoint,
  EngineFault,
  explainFailedConnection,
  explainStatus,
  givenUp,
  notJson,
  wrongShape,
} from "./docker-fault.ts";
import { BodyTooLarge, readBody } from "./http-body.ts";

/** 5,000 containers are 3.3 MB. Beyond this it isn't a listing, and must not take the memory either. */
const BODY_LIMIT_BYTES = 256 * 1024 * 1024;
/** What is read of an error's body: an Engine's is far smaller. */
const ERROR_BODY_LIMIT_BYTES = 64 * 1024;

export interface DockerTransport {
  /**
   * The whole body of a GET that answered 200, parsed.
   *
   * A JSON document that is cut off anywhere is no JSON document, so what comes back is complete (P1) even where
   * HTTP can't tell: with neither length nor chunks the end of the connection ends the body.
   */
  getJson<Schema extends v.GenericSchema>(
    path: string,
    schema: Schema,
    signal: AbortSignal,
  ): Promise<v.InferOutput<Schema>>;
  /**
   * The same, made into something else. The very bytes of the last answer mean what they meant, so they are neither
   * parsed nor made into anything again: of a listing that is repeated every few seconds that is most of the work.
   */
  getMade<Schema extends v.GenericSchema, Made extends object>(
    path: string,
    schema: Schema,
    signal: AbortSignal,
    make: (answer: v.InferOutput<Schema>) => Made,
    last: LastAnswer<Made> | null,
  ): Promise<Made>;
  /** As getJson, and null where the Engine says that there is no such object. */
  findJson<Schema extends v.GenericSchema>(
    path: string,
    schema: Schema,
    signal: AbortSignal,
  ): Promise<v.InferOutput<Schema> | null>;
  /** A GET whose body goes on until the signal fires; resolves when the headers came and say 200. */
  openStream(path: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array>>;
}

/** @param bodyLimitBytes only tests need another */
export function createDockerTransport(
  endpoint: DockerEndpoint,
  bodyLimitBytes = BODY_LIMIT_BYTES,
): DockerTransport {
  const base = endpoint.kind === "unix" ? "http://docker" : endpoint.url.replace(/\/+$/, "");
  const connection = connectionOptions(endpoint);

  const failure = (error: unknown, signal: AbortSignal, doing: string): EngineFault => {
    if (error instanceof EngineFault) return error;
    if (error instanceof BodyTooLarge) return new EngineFault(`the Engine's answer is ${error.message}`);
    return signal.aborted ? givenUp(signal, doing) : explainFailedConnection(error, endpoint);
  };

  async function* bytesOf(body: ReadableStream<Uint8Array>, signal: AbortSignal) {
    try {
      yield* body;
    } catch (error) {
      throw failure(error, signal, "following");
    }
  }

  async function get(path: string, signal: AbortSignal): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(`${base}${path}`, {
        ...connection,
        // A redirect's target is not the Engine that the operator named.
        redirect: "manual",
        headers: { accept: "application/json", "accept-encoding": "identity" },
        // The caller's signal is the only deadline: fetch's own ends quiet event streams after some minutes.
        timeout: false,
        signal,
      });
    } catch (error) {
      throw failure(error, signal, "waiting for the Engine's answer");
    }
    // 206 and the like are successes, but not all of it.
    if (response.status === 200) return response;
    const body = await readBody(response, ERROR_BODY_LIMIT_BYTES).catch((error: unknown) => {
      if (error instanceof BodyTooLarge) return error.start;
      throw failure(error, signal, `reading the Engine's answer ${response.status}`);
    });
    throw explainStatus(response.status, new TextDecoder().decode(body), response.headers.get("location"));
  }

  async function getBody(path: string, signal: AbortSignal): Promise<Uint8Array> {
    const response = await get(path, signal);
    return readBody(response, bodyLimitBytes).catch((error: unknown) => {
      throw failure(error, signal, "reading the Engine's answer");
    });
  }

  async function getJson<Schema extends v.GenericSchema>(
    path: string,
    schema: Schema,
    signal: AbortSignal,
  ): Promise<v.InferOutput<Schema>> {
    return parse(await getBody(path, signal), schema);
  }

  return {
    getJson,

    async getMade(path, schema, signal, make, last) {
      const body = await getBody(path, signal);
      const known = last?.of(path, body);
      if (known) return known;
      const made = make(parse(body, schema));
      last?.keep(path, body, made);
      return made;
    },

    async findJson(path, schema, signal) {
      try {
        return await getJson(path, schema, signal);
      } catch (error) {
        if (error instanceof EngineFault && error.status === 404) return null;
        throw error;
      }
    },

    async openStream(path, signal) {
      const response = await get(path, signal);
      if (response.body === null) throw new EngineFault("the Engine answered 200 without a body");
      return bytesOf(response.body, signal);
    },
  };
}

function connectionOptions(endpoint: DockerEndpoint): BunFetchRequestInit {
  if (endpoint.kind === "unix") return { unix: endpoint.socketPath };
  if (endpoint.tls === null) return {};
  const { ca, cert, key, verify } = endpoint.tls;
  return {
    tls: {
      rejectUnauthorized: verify,
      ...(ca ? { ca } : {}),
      ...(cert ? { cert } : {}),
      ...(key ? { key } : {}),
    },
  };
}

/** What was made of the last answer to a question. */
export class LastAnswer<Made extends object> {
  #path = "";
  #body: Uint8Array | null = null;
  #made: Made | null = null;

  of(path: string, body: Uint8Array): Made | null {
    return path === this.#path && this.#body !== null && Buffer.compare(body, this.#body) === 0
      ? this.#made
      : null;
  }

  keep(path: string, body: Uint8Array, made: Made): void {
    this.#path = path;
    this.#body = body;
    this.#made = made;
  }
}

function parse<Schema extends v.GenericSchema>(body: Uint8Array, schema: Schema): v.InferOutput<Schema> {
  const result = v.safeParse(schema, parseJson(body), { abortEarly: true });
  if (result.success) return result.output;
  const issue = result.issues[0];
  throw wrongShape(v.getDotPath(issue) ?? "", issue);
}

/** Never `response.json()`: it takes an empty body for null. */
function parseJson(body: Uint8Array): unknown {
  try {
    // Fatal: a damaged byte in a name would otherwise make it another name, and its workspace absent.
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(body));
  } catch (error) {
    throw notJson(new TextDecoder().decode(body.subarray(0, 4096)), error);
  }
}
