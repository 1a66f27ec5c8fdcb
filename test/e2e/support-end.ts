// Preloaded (`bun test --preload=./test/e2e/support-end.ts`), its afterAll is the one after the last file's.
import { afterAll } from "bun:test";
import { sharedServices } from "./support-services.ts";

afterAll(() => sharedServices.stop(), 60_000);
