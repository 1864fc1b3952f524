"""kcl-rs, an application: prints each record, checkpoints each batch, ends when its input ends."""

import json
import os
import sys
import threading

from kcl_rs import CheckpointError, RecordProcessorBase, Scheduler

places = json.loads(sys.argv[-1])
for service in ("kinesis", "dynamodb", "cloudwatch"):
    os.environ[f"AWS_ENDPOINT_URL_{service.upper()}"] = places[service]
printing = threading.Lock()


def checkpoint(checkpointer):
    try:
        checkpointer.checkpoint()
    except CheckpointError as error:
        print("no checkpoint:", error, file=sys.stderr)


class Reader(RecordProcessorBase):
    def initialize(self, start):
        self.shard = start.shard_id

    def process_records(self, batch):
        for record in batch.records:
            line = {"data": record.binary_data.decode(), "key": record.partition_key, "shard": self.shard}
            with printing:
                print(json.dumps(line), flush=True)
        checkpoint(batch.checkpointer)

    def lease_lost(self, _lost):
        pass

    def shard_ended(self, ended):
        checkpoint(ended.checkpointer)

    def shutdown_requested(self, requested):
        checkpoint(requested.checkpointer)


fan_out = places["mode"] == "fan-out"
how = {} if fan_out else {"retrieval_mode": "POLLING", "idle_time_between_reads_millis": 250}
scheduler = Scheduler(
    stream_name=places["stream"],
    application_name=places["application"],
    record_processor_factory=Reader,
    region=places["region"],
    initial_position="TRIM_HORIZON",
    **how,
    shard_sync_interval_millis=1000,
)
scheduler.start()
sys.stdin.read()
scheduler.shutdown()
