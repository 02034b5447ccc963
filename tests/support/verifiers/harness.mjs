// Verify the requests of standard input with the code block of docs/how-to/verifying/javascript.md.
import { readFileSync } from "node:fs";
import { verify } from "./verify.mjs";

for (const line of readFileSync(0, "utf8").trimEnd().split("\n")) {
  const fields = line.split("\t").map((field) => Buffer.from(field.slice(1), "base64"));
  const [keys, id, timestamp, signature, now] = fields.slice(0, 5).map(String);
  const headers = { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature };
  try {
    console.log(`ok ${verify(keys.split(","), headers, fields[5], Number(now))}`);
  } catch {
    console.log("no");
  }
}
