// lifion-kinesis, an application: prints each record, ends when its input ends.
'use strict';

const dns = require('dns');
const Kinesis = require('lifion-kinesis');

const places = JSON.parse(process.argv[process.argv.length - 1]);

// Its fan-out requests are signed by aws4, which puts AWS's host name over the endpoint's; an entry
// in /etc/hosts does elsewhere what this does here.
const { lookup } = dns;
dns.lookup = (host, ...rest) =>
  lookup(host === `kinesis.${places.region}.amazonaws.com` ? '127.0.0.1' : host, ...rest);

const say = (level) => (...words) => console.error(level, ...words.map(String));

const kinesis = new Kinesis({
  consumerGroup: places.application,
  createStreamIfNeeded: false,
  dynamoDb: { endpoint: places.dynamodb, region: places.region },
  endpoint: places.kinesis,
  initialPositionInStream: 'TRIM_HORIZON',
  // Leases are looked at every 20 s otherwise, also after a reshard.
  leaseAcquisitionInterval: 1000,
  logger: { debug: () => {}, error: say('error'), warn: say('warn') },
  maxEnhancedConsumers: 1,
  pollDelay: 100,
  region: places.region,
  shouldDeaggregate: true,
  shouldParseJson: false,
  streamName: places.stream,
  useEnhancedFanOut: places.mode === 'fan-out',
});

kinesis.on('error', (error) => console.error('error', error));
kinesis.on('data', ({ records, shardId }) => {
  for (const record of records) {
    const data = Buffer.isBuffer(record.data) ? record.data.toString() : String(record.data);
    console.log(JSON.stringify({ data, key: record.partitionKey, shard: shardId }));
  }
});

kinesis.startConsumer().catch((error) => {
  console.error(error);
  process.exit(1);
});

process.stdin.resume();
process.stdin.on('end', () => {
  try {
    kinesis.stopConsumer();
  } catch (error) {
    // It stumbles over shards that it read to their end (1.3.3).
    console.error(error);
  }
  // Checkpoints of the last batch are on their way.
  setTimeout(() => process.exit(0), 500);
});
