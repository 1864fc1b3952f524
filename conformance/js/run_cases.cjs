// Performs calls through the AWS SDK for JavaScript v3: the driver of the conformance tests.
//
// Usage: NODE_PATH=<node_modules> node run_cases.cjs ENDPOINT. Reads one call per line and prints
// one answer per line, in the neutral form that conformance/src/driver.rs describes. The client
// is used as it comes: over HTTP/2 with prior knowledge.
"use strict";

const readline = require("node:readline");
const sdk = require("@aws-sdk/client-kinesis");

const TIMES = new Set([
  "Timestamp", "StreamCreationTimestamp", "ApproximateArrivalTimestamp", "ConsumerCreationTimestamp",
]);
const BLOBS = new Set(["Data"]);

let account = "000000000000";
const clients = new Map();

function client(endpoint, region) {
  if (!clients.has(region)) {
    clients.set(region, new sdk.KinesisClient({
      endpoint,
      region,
      maxAttempts: 1,
      credentials: async () => ({ accessKeyId: account, secretAccessKey: "secret", expiration: new Date(0) }),
    }));
  }
  return clients.get(region);
}

function toSdk(name, value) {
  if (Array.isArray(value)) return value.map((item) => toSdk(name, item));
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toSdk(key, item)]));
  }
  if (BLOBS.has(name) && typeof value === "string") return Buffer.from(value, "base64");
  if (TIMES.has(name) && typeof value === "number") return new Date(Math.round(value * 1000));
  return value;
}

function toNeutral(value) {
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  if (value instanceof Date) return value.getTime() / 1000;
  if (Array.isArray(value)) return value.map(toNeutral);
  if (value !== null && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, toNeutral(item)]));
  }
  return value;
}

// Reads a subscription to its end: all records, and what the last event said of the rest.
async function fold(stream) {
  let [records, last, events] = [[], {}, 0];
  for await (const { SubscribeToShardEvent: event } of stream) {
    const { Records, ...rest } = event;
    records = records.concat(Records);
    last = rest;
    events += 1;
  }
  return { ...last, Records: records, Events: events };
}

async function answer(endpoint, call) {
  account = call.account;
  const command = new sdk[`${call.op}Command`](toSdk("", call.in));
  try {
    const { $metadata, ...out } = await client(endpoint, call.region).send(command);
    const told = out.EventStream ? await fold(out.EventStream) : out;
    return { status: $metadata.httpStatusCode, out: toNeutral(told) };
  } catch (error) {
    const status = error.$metadata?.httpStatusCode;
    if (status === undefined) throw error;
    return { status, error: error.name, message: error.message };
  }
}

async function main() {
  const lines = readline.createInterface({ input: process.stdin });
  for await (const line of lines) {
    let result;
    try {
      result = await answer(process.argv[2], JSON.parse(line));
    } catch (error) {
      result = { trouble: String(error.stack ?? error) };
    }
    process.stdout.write(`${JSON.stringify(result)}\n`);
  }
  for (const one of clients.values()) one.destroy();
}

main();
