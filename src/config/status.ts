/** `OBSERVER_LISTEN` and `OBSERVER_STATUS_TOKEN`. */
import { isIPv4, isIPv6 } from "node:net";
import { expected, isHostName, type Parsed, parsed, parsePort } from "./parse.ts";
import type { ConfigSource } from "./source.ts";
import type { ListenAddress, StatusConfig } from "./types.ts";

const SHORT_TOKEN = 16;

export function readStatus(source: ConfigSource): StatusConfig {
  const text = source.textOrDefault("OBSERVER_LISTEN") ?? "";
  const listen = parseListen(text);
  if (!listen.ok)
    source.problem(
      "OBSERVER_LISTEN",
      `must be ${listen.expected}, not ${source.shown("OBSERVER_LISTEN", text)}`,
    );
  const token = source.word("OBSERVER_STATUS_TOKEN");
  const address = listen.ok ? listen.value : null;
  if (address !== null && !isLoopback(address.hostname)) {
    if (token === null && !source.isWrong("OBSERVER_STATUS_TOKEN"))
      source.problem(
        "OBSERVER_STATUS_TOKEN",
        `is missing: OBSERVER_LISTEN ${source.shown("OBSERVER_LISTEN", text)} can be reached from other machines; set one, or listen on 127.0.0.1:9464`,
      );
    if (token !== null && token.length < SHORT_TOKEN)
      source.warn("OBSERVER_STATUS_TOKEN", `has fewer than ${SHORT_TOKEN} characters, so it can be guessed`);
  }
  return { listen: address, token };
}

/** `127.0.0.1:9464`, `[::1]:9464`, `name:9464`, `:9464` (all IPv4 interfaces), `off` (null). Port 0 is allowed. */
export function parseListen(text: string): Parsed<ListenAddress | null> {
  if (text.toLowerCase() === "off") return parsed(null);
  const wrong = expected("an address such as 127.0.0.1:9464, [::1]:9464 or :9464, or off");
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text);
  if (match === null) return wrong;
  const port = parsePort(match[3] as string, 0);
  if (port === null) return wrong;
  const [, v6, name = ""] = match;
  if (v6 !== undefined) return isIPv6(v6) ? parsed({ hostname: v6, port }) : wrong;
  if (name === "") return parsed({ hostname: "0.0.0.0", port });
  return isHostName(name) ? parsed({ hostname: name, port }) : wrong;
}

export const isLoopback = (hostname: string): boolean =>
  hostname === "::1" ||
  hostname.toLowerCase() === "localhost" ||
  (isIPv4(hostname) && hostname.startsWith("127."));
