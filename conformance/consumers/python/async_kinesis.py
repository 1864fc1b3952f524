"""async-kinesis, an application: prints each record, ends when its input ends."""

import asyncio
import json
import logging
import sys

from kinesis import Consumer
from kinesis.dynamodb import DynamoDBCheckPointer
from kinesis.processors import StringProcessor

logging.basicConfig(level=logging.WARNING)
places = json.loads(sys.argv[-1])


async def read():
    checkpoints = DynamoDBCheckPointer(
        name=places["application"],
        id="reader",
        session_timeout=6,
        heartbeat_frequency=1,
        endpoint_url=places["dynamodb"],
        region_name=places["region"],
    )
    consumer = Consumer(
        stream_name=places["stream"],
        endpoint_url=places["kinesis"],
        region_name=places["region"],
        iterator_type="TRIM_HORIZON",
        processor=StringProcessor(),
        checkpointer=checkpoints,
        sleep_time_no_records=0.2,
        shard_fetch_rate=5,
        use_list_shards=True,
        idle_timeout=1.0,
    )
    # Its look at the shards comes every minute; there is no public setting for that.
    consumer._shard_refresh_interval = 1
    async with consumer:
        while True:
            async for data in consumer:
                print(json.dumps({"data": data}), flush=True)


async def main():
    reading = asyncio.create_task(read())
    ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    await asyncio.wait([reading, asyncio.ensure_future(ended)], return_when=asyncio.FIRST_COMPLETED)
    reading.cancel()
    try:
        await reading
    except asyncio.CancelledError:
        pass


asyncio.run(main())
