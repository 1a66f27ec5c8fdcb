// Prints the demo's table for whoever has no psql:  bun dev/demo/rows.ts URL
import postgres from "postgres";

const [url] = process.argv.slice(2);
if (url === undefined) {
  console.error("Usage: bun dev/demo/rows.ts postgres://…  (the demo prints its URL)");
  process.exit(64);
}
const sql = postgres(url, { max: 1, connect_timeout: 5 });
try {
  console.table([...(await sql`table overview`)]);
} finally {
  await sql.end({ timeout: 1 });
}
