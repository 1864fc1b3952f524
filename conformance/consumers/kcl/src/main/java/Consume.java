import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.PrintStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClientBuilder;
import software.amazon.kinesis.common.ConfigsBuilder;
import software.amazon.kinesis.common.InitialPositionInStream;
import software.amazon.kinesis.common.InitialPositionInStreamExtended;
import software.amazon.kinesis.common.KinesisClientUtil;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.lifecycle.events.InitializationInput;
import software.amazon.kinesis.lifecycle.events.LeaseLostInput;
import software.amazon.kinesis.lifecycle.events.ProcessRecordsInput;
import software.amazon.kinesis.lifecycle.events.ShardEndedInput;
import software.amazon.kinesis.lifecycle.events.ShutdownRequestedInput;
import software.amazon.kinesis.processor.RecordProcessorCheckpointer;
import software.amazon.kinesis.processor.ShardRecordProcessor;
import software.amazon.kinesis.processor.SingleStreamTracker;
import software.amazon.kinesis.retrieval.KinesisClientRecord;
import software.amazon.kinesis.retrieval.RetrievalSpecificConfig;
import software.amazon.kinesis.retrieval.fanout.FanOutConfig;
import software.amazon.kinesis.retrieval.polling.PollingConfig;

/**
 * An ordinary application of the KCL: prints each record as one line of JSON, checkpoints after each
 * batch, ends gracefully when its standard input ends. Only waits are shorter than the defaults.
 */
public class Consume {
    private static final ObjectMapper JSON = new ObjectMapper();
    /** The real standard output; whatever libraries print goes to the errors. */
    private static final PrintStream OUT = System.out;

    public static void main(String[] arguments) throws Exception {
        System.setOut(System.err);
        JsonNode places = JSON.readTree(arguments[0]);
        String stream = places.get("stream").asText();
        String application = places.get("application").asText();
        boolean fanOut = places.get("mode").asText().equals("fan-out");
        Region region = Region.of(places.get("region").asText());

        // As KinesisClientUtil makes it for everyone: Netty, HTTP/2, CBOR.
        KinesisAsyncClientBuilder builder = KinesisAsyncClient.builder()
                .region(region).endpointOverride(URI.create(places.get("kinesis").asText()));
        KinesisAsyncClient kinesis = KinesisClientUtil.createKinesisAsyncClient(builder);
        DynamoDbAsyncClient dynamoDb = DynamoDbAsyncClient.builder()
                .region(region).endpointOverride(URI.create(places.get("dynamodb").asText())).build();
        CloudWatchAsyncClient cloudWatch = CloudWatchAsyncClient.builder()
                .region(region).endpointOverride(URI.create(places.get("cloudwatch").asText())).build();

        InitialPositionInStreamExtended horizon =
                InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON);
        ConfigsBuilder configs = new ConfigsBuilder(new SingleStreamTracker(stream, horizon), application,
                kinesis, dynamoDb, cloudWatch, UUID.randomUUID().toString(), Processor::new);
        RetrievalSpecificConfig how = fanOut
                ? new FanOutConfig(kinesis).streamName(stream).applicationName(application)
                : new PollingConfig(stream, kinesis).idleTimeBetweenReadsInMillis(250);
        Scheduler scheduler = new Scheduler(
                configs.checkpointConfig(),
                configs.coordinatorConfig()
                        .parentShardPollIntervalMillis(1_000)
                        .shardConsumerDispatchPollIntervalMillis(200),
                configs.leaseManagementConfig().failoverTimeMillis(3_000).shardSyncIntervalMillis(2_000),
                configs.lifecycleConfig(),
                configs.metricsConfig().metricsBufferTimeMillis(2_000),
                configs.processorConfig(),
                configs.retrievalConfig().retrievalSpecificConfig(how));
        Thread worker = new Thread(scheduler, "scheduler");
        worker.start();

        while (System.in.read() >= 0) {
            // Only its end means something.
        }
        scheduler.startGracefulShutdown().get(40, TimeUnit.SECONDS);
        worker.join(10_000);
        System.exit(0);
    }

    /** One shard. */
    private static final class Processor implements ShardRecordProcessor {
        private String shard;

        @Override
        public void initialize(InitializationInput input) {
            shard = input.shardId();
        }

        @Override
        public void processRecords(ProcessRecordsInput input) {
            for (KinesisClientRecord record : input.records()) {
                ObjectNode line = JSON.createObjectNode();
                line.put("shard", shard);
                line.put("key", record.partitionKey());
                line.put("data", StandardCharsets.UTF_8.decode(record.data()).toString());
                OUT.println(line);
            }
            OUT.flush();
            checkpoint(input.checkpointer());
        }

        @Override
        public void leaseLost(LeaseLostInput input) {
            // Another worker goes on.
        }

        @Override
        public void shardEnded(ShardEndedInput input) {
            checkpoint(input.checkpointer());
        }

        @Override
        public void shutdownRequested(ShutdownRequestedInput input) {
            checkpoint(input.checkpointer());
        }

        private void checkpoint(RecordProcessorCheckpointer checkpointer) {
            try {
                checkpointer.checkpoint();
            } catch (Exception error) {
                System.err.println("no checkpoint of " + shard + ": " + error);
            }
        }
    }
}
