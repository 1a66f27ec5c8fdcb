/**
 * Goal: what systemd leaves in the environment is understood, and what is wrong with it stops nothing.
 * Method: a table of environments; the process id of the tests' host is 4711.
 */
import { expect, test } from "bun:test";
import { load } from "./config-support.ts";

test.each([
  [{ NOTIFY_SOCKET: "/run/n" }, { socket: "/run/n", watchdogMs: null }],
  [
    { NOTIFY_SOCKET: "@n", WATCHDOG_USEC: "1500000" },
    { socket: "@n", watchdogMs: 1_500 },
  ],
  [
    { NOTIFY_SOCKET: "/n", WATCHDOG_USEC: "30000000", WATCHDOG_PID: "4711" },
    { socket: "/n", watchdogMs: 30_000 },
  ],
  [
    { NOTIFY_SOCKET: "/n", WATCHDOG_USEC: "30000000", WATCHDOG_PID: "1" },
    { socket: "/n", watchdogMs: null },
  ],
  [
    { NOTIFY_SOCKET: "/n", WATCHDOG_USEC: "0" },
    { socket: "/n", watchdogMs: null },
  ],
  [
    { NOTIFY_SOCKET: "/n", WATCHDOG_USEC: "soon" },
    { socket: "/n", watchdogMs: null },
  ],
  [{ WATCHDOG_USEC: "30000000" }, null],
  [{ NOTIFY_SOCKET: "" }, null],
])("%o", (env, supervisor) => {
  expect(load(env).supervisor).toEqual(supervisor);
});
