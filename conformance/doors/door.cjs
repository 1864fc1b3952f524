// One ListStreams through the AWS SDK for JavaScript v3, over HTTP/1.1 or HTTP/2.
//
// Usage: node door.cjs (http1|http2) ENDPOINT SHIFT_SECONDS; credentials by the usual variables, the
// CA file by NODE_EXTRA_CA_CERTS. Prints "ok", or the error's name and message.
"use strict";

const sdk = require("@aws-sdk/client-kinesis");
const { NodeHttpHandler, NodeHttp2Handler } = require("@smithy/node-http-handler");

async function main() {
  const [version, endpoint, shift] = process.argv.slice(2);
  const client = new sdk.KinesisClient({
    endpoint,
    region: process.env.AWS_REGION,
    maxAttempts: 1,
    systemClockOffset: Number(shift) * 1000,
    requestHandler: version === "http1" ? new NodeHttpHandler() : new NodeHttp2Handler(),
  });
  try {
    const { StreamNames } = await client.send(new sdk.ListStreamsCommand({}));
    console.log(StreamNames.length === 0 ? "ok" : `unexpected streams: ${StreamNames}`);
  } catch (error) {
    console.log(`${error.name} ${error.message}`);
  }
  client.destroy();
}

main();
