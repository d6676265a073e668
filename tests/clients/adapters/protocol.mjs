// How an adapter is asked, as protocol.py says it.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";

export const user = (text) => ({ role: "user", content: text });

// The error, one for which isExpected is true, that ask() is refused with.
export async function refusal(ask, isExpected) {
  try {
    await ask();
  } catch (error) {
    if (!isExpected(error)) throw error;
    return { kind: error.name, status: error.status ?? error.statusCode, message: error.message };
  }
  throw new Error("nothing was refused");
}

// Answers what is asked with a client that make(task) makes.
export async function serve(make) {
  const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);
  let client = null;
  for await (const line of createInterface({ input: process.stdin })) {
    if (client === null) {
      const { package: name, ...task } = JSON.parse(line);
      client = make({ ...task, baseURL: `${task.url}/v1` });
      const about = new URL(`node_modules/${name}/package.json`, import.meta.url);
      say({ version: JSON.parse(readFileSync(about, "utf8")).version });
      continue;
    }
    try {
      say({ said: await client[JSON.parse(line)]() });
    } catch (error) {
      say({ failed: error.stack });
    }
  }
}
