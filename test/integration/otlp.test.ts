// createOtlpSender(). Goal: what is sent arrives whole, with its headers, and every answer, or none, is a fault by name that
// says whether to try again. Method: a real HTTP server that answers as the test says.
import { afterEach, beforeEach, describe, expect, test } from "bun:test";
import { createOtlpSender, OtlpFault } from "../../src/adapters/otlp.ts";
import { type Collector, startCollector } from "../otlp-collector.ts";

const HEADERS = { authorization: "Bearer hush-7Q", "x-scope-orgid": "one" };
const nothing = { resourceSpans: [] };

let collector: Collector;
beforeEach(() => {
  collector = startCollector();
});
afterEach(() => collector.stop());

const send = (endpoint = collector.url, abort = AbortSignal.timeout(5_000)) =>
  createOtlpSender({ endpoint, headers: HEADERS })("traces", nothing, abort);
async function fault(sending: Promise<void>): Promise<OtlpFault> {
  const cause = await sending.then(
    () => new Error("it was taken"),
    (error: unknown) => error,
  );
  expect(cause).toBeInstanceOf(OtlpFault);
  expect(String(cause)).not.toContain("hush-7Q");
  return cause as OtlpFault;
}

describe("createOtlpSender()", () => {
  test("posts JSON with the headers to the signal's path, below the endpoint's own", async () => {
    await send();
    expect(collector.complaints).toEqual([]);
    const [headers] = collector.headers;
    expect(headers?.get("content-type")).toBe("application/json");
    expect([headers?.get("authorization"), headers?.get("x-scope-orgid")]).toEqual(["Bearer hush-7Q", "one"]);
    let path = "";
    collector.answer = ({ url }) => {
      path = new URL(url).pathname;
      return new Response();
    };
    await send(`${collector.url}/otlp`);
    expect(path).toBe("/otlp/v1/traces");
  });

  test.each([
    [429, true],
    [503, true],
    [400, false],
    [401, false],
    [404, false],
    [500, false],
  ])("an answer of %d: to be tried again? %p", async (status, isPassing) => {
    collector.answer = () => new Response("no such\ntenant", { status });
    const { message, ...rest } = await fault(send());
    expect(message).toBe(
      `Cannot send traces to ${collector.url}/v1/traces: it answered ${status} "no such\\ntenant"`,
    );
    expect(rest.isPassing).toBe(isPassing);
  });

  test("a redirect is no answer: the headers are for one endpoint alone", async () => {
    const other = startCollector();
    collector.answer = () => Response.redirect(`${other.url}/v1/traces`, 307);
    expect((await fault(send())).isPassing).toBe(false);
    expect(other.headers).toEqual([]);
    await other.stop();
  });

  test("a refusal without an end is quoted in some characters, and not read on", async () => {
    const pull = (controller: ReadableStreamDefaultController) => controller.enqueue("x".repeat(1_000));
    collector.answer = () => new Response(new ReadableStream({ pull }), { status: 400 });
    const { message } = await fault(send());
    expect(message).toEndWith(`it answered 400 "${"x".repeat(200)}"`);
  });

  test("nobody there", async () => {
    await collector.stop();
    const { isPassing, cause } = await fault(send());
    expect([isPassing, cause instanceof Error]).toEqual([true, true]);
  });

  test("P12: one that never answers is let go at the signal", async () => {
    const asked = Promise.withResolvers<void>();
    collector.answer = () => {
      asked.resolve();
      return new Promise<Response>(() => {});
    };
    const controller = new AbortController();
    const sending = fault(send(collector.url, controller.signal));
    await asked.promise;
    controller.abort();
    expect((await sending).isPassing).toBe(true);
  });
});
