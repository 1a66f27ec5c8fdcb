// src/adapters/postgres-fault.ts. Goal: whatever the driver throws, the sentence says what happened. Method: errors as it
// throws them where the real server is hard to bring to it; test/integration/postgres-refusals.test.ts has the others.
import { expect, test } from "bun:test";
import { databaseFault } from "../../src/adapters/postgres-fault.ts";

const refused = (address: string) =>
  Object.assign(new Error(`connect ECONNREFUSED ${address}`), { code: "ECONNREFUSED" });
const ADVICE = "is PostgreSQL running, and the host and port in DATABASE_URL right?";

test.each([
  [
    "each address of a host",
    Object.assign(new AggregateError([refused("::1:5432"), refused("127.0.0.1:5432")]), {
      code: "ECONNREFUSED",
    }),
    `PostgreSQL cannot be reached: connect ECONNREFUSED ::1:5432, connect ECONNREFUSED 127.0.0.1:5432; ${ADVICE}`,
  ],
  [
    "no words at all",
    Object.assign(new Error(""), { code: "ECONNREFUSED" }),
    `PostgreSQL cannot be reached: ECONNREFUSED; ${ADVICE}`,
  ],
  [
    "what this process did itself",
    Object.assign(new Error("write CONNECTION_DESTROYED localhost:5432"), { code: "CONNECTION_DESTROYED" }),
    "PostgreSQL cannot be reached: the last connection was given up, for nothing was answered; it is tried again",
  ],
  ["no error", "thrown", "thrown"],
])("%s", (_, cause, state) => {
  expect(databaseFault("Cannot ask", cause).message).toBe(`Cannot ask: ${state}`);
});
