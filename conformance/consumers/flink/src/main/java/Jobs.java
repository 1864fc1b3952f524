import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import org.apache.flink.api.common.JobStatus;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.SimpleStringSchema;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.util.ratelimit.RateLimiterStrategy;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.datagen.source.DataGeneratorSource;
import org.apache.flink.connector.datagen.source.GeneratorFunction;
import org.apache.flink.connector.kinesis.sink.KinesisStreamsSink;
import org.apache.flink.connector.kinesis.source.KinesisStreamsSource;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.core.execution.SavepointFormatType;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.sink.SinkFunction;
import org.apache.flink.streaming.connectors.kinesis.FlinkKinesisConsumer;

/**
 * Flink jobs on a mini cluster in this process: reading with each of the connector's sources, and
 * writing with its sink. A reading job prints each record as one line of JSON; it takes a savepoint
 * and stops when the standard input ends, and the next one in the same folder goes on from it.
 */
public class Jobs {
    private static final ObjectMapper JSON = new ObjectMapper();
    /** The real standard output; whatever libraries print goes to the errors. */
    private static final PrintStream OUT = System.out;
    private static final int PARALLELISM = 2;

    public static void main(String[] arguments) throws Exception {
        System.setOut(System.err);
        JsonNode places = JSON.readTree(arguments[0]);
        if (places.get("mode").asText().equals("sink")) {
            write(places);
        } else {
            read(places);
        }
        System.exit(0);
    }

    private static void read(JsonNode places) throws Exception {
        Path folder = Path.of(places.get("folder").asText());
        Path savepoint = folder.resolve("savepoint.txt");
        Configuration settings = new Configuration();
        if (Files.exists(savepoint)) {
            settings.setString("execution.savepoint.path", Files.readString(savepoint));
        }
        StreamExecutionEnvironment flink =
                StreamExecutionEnvironment.createLocalEnvironment(PARALLELISM, settings);
        flink.enableCheckpointing(1_000);
        source(flink, places).addSink(new Printer()).name("print").uid("print");
        JobClient job = flink.executeAsync("read");
        Thread watch = new Thread(() -> endWith(job), "watch");
        watch.setDaemon(true);
        watch.start();
        while (System.in.read() >= 0) {
            // Only its end means something.
        }
        String path = job.stopWithSavepoint(
                false, folder.resolve("savepoints").toUri().toString(), SavepointFormatType.CANONICAL).get();
        Files.writeString(savepoint, path);
    }

    /** A job that fails ends the program, with the reason. */
    private static void endWith(JobClient job) {
        try {
            job.getJobExecutionResult().get();
        } catch (Exception error) {
            error.printStackTrace();
            System.exit(3);
        }
    }

    private static DataStream<String> source(StreamExecutionEnvironment flink, JsonNode places) {
        String mode = places.get("mode").asText();
        Properties settings = client(places);
        settings.setProperty("flink.stream.initpos", "TRIM_HORIZON");
        settings.setProperty("flink.shard.discovery.intervalmillis", "1000");
        if (mode.equals("source")) {
            KinesisStreamsSource<String> source = KinesisStreamsSource.<String>builder()
                    .setStreamArn(places.get("arn").asText())
                    .setSourceConfig(Configuration.fromMap(new java.util.HashMap(settings)))
                    .setDeserializationSchema(new SimpleStringSchema())
                    .build();
            return flink.fromSource(source, WatermarkStrategy.noWatermarks(), "kinesis", Types.STRING)
                    .uid("kinesis");
        }
        if (mode.equals("fan-out")) {
            settings.setProperty("flink.stream.recordpublisher", "EFO");
            settings.setProperty("flink.stream.efo.consumername", places.get("application").asText());
        }
        String stream = places.get("stream").asText();
        return flink.addSource(new FlinkKinesisConsumer<>(stream, new SimpleStringSchema(), settings))
                .name("kinesis").uid("kinesis");
    }

    private static void write(JsonNode places) throws Exception {
        StreamExecutionEnvironment flink =
                StreamExecutionEnvironment.createLocalEnvironment(PARALLELISM, new Configuration());
        flink.enableCheckpointing(1_000);
        long keys = places.get("keys").asLong();
        GeneratorFunction<Long, String> record = n -> "k" + n % keys + "/" + n / keys;
        DataGeneratorSource<String> numbers = new DataGeneratorSource<>(record, places.get("records").asLong(),
                RateLimiterStrategy.perSecond(places.get("per_second").asDouble()), Types.STRING);
        KinesisStreamsSink<String> sink = KinesisStreamsSink.<String>builder()
                .setStreamArn(places.get("arn").asText())
                .setSerializationSchema(new SimpleStringSchema())
                .setPartitionKeyGenerator(text -> text.substring(0, text.indexOf('/')))
                .setKinesisClientProperties(client(places))
                .setMaxBatchSize(20)
                .setMaxTimeInBufferMS(100)
                .build();
        flink.fromSource(numbers, WatermarkStrategy.noWatermarks(), "numbers", Types.STRING).sinkTo(sink);
        JobStatus end = flink.executeAsync("write").getJobExecutionResult().thenApply(done -> JobStatus.FINISHED).get();
        OUT.println(JSON.createObjectNode().put("data", end.name()));
        OUT.flush();
    }

    private static Properties client(JsonNode places) {
        Properties settings = new Properties();
        settings.setProperty("aws.region", places.get("region").asText());
        settings.setProperty("aws.endpoint", places.get("kinesis").asText());
        settings.setProperty("aws.credentials.provider", "ENV_VAR");
        return settings;
    }

    /** Prints, from whichever task of this process. */
    private static final class Printer implements SinkFunction<String> {
        private static final long serialVersionUID = 1;

        @Override
        public void invoke(String data, Context context) {
            String line = JSON.createObjectNode().put("data", data).toString();
            synchronized (OUT) {
                OUT.println(line);
                OUT.flush();
            }
        }
    }
}
