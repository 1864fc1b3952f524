import com.amazonaws.encryptionsdk.AwsCrypto;
import com.amazonaws.encryptionsdk.CommitmentPolicy;
import com.amazonaws.encryptionsdk.CryptoResult;
import com.amazonaws.encryptionsdk.kmssdkv2.KmsMasterKey;
import com.amazonaws.encryptionsdk.kmssdkv2.KmsMasterKeyProvider;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.awscore.client.builder.AwsClientBuilder;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.awssdk.services.kinesis.model.PutRecordsRequestEntry;
import software.amazon.awssdk.services.kinesis.model.Record;
import software.amazon.awssdk.services.kinesis.model.ShardIteratorType;
import software.amazon.awssdk.services.kms.KmsClient;
import software.amazon.awssdk.services.kms.KmsClientBuilder;

/**
 * Records encrypted on the client's side by the AWS Encryption SDK for Java, with our KMS.
 *
 * <p>Usage: java Encrypt ENDPOINT
 */
public final class Encrypt {
  private static final int COUNT = 20;
  private static final Map<String, String> CONTEXT = Map.of("stream", "orders", "purpose", "test");
  private static URI endpoint;

  public static void main(String[] args) throws Exception {
    endpoint = URI.create(args[0]);
    KmsClient kms = kmsBuilder().build();
    KinesisClient kinesis =
        here(KinesisClient.builder()).httpClientBuilder(UrlConnectionHttpClient.builder()).build();
    String key = kms.createKey().keyMetadata().arn();
    kinesis.createStream(s -> s.streamName("orders").shardCount(1));
    kinesis.waiter().waitUntilStreamExists(s -> s.streamName("orders"));

    AwsCrypto crypto =
        AwsCrypto.builder()
            .withCommitmentPolicy(CommitmentPolicy.RequireEncryptRequireDecrypt)
            .build();
    KmsMasterKeyProvider strict = provider().buildStrict(key);
    List<PutRecordsRequestEntry> records = new ArrayList<>();
    for (int n = 0; n < COUNT; n++) {
      byte[] sealed = crypto.encryptData(strict, plain(n), CONTEXT).getResult();
      check(!new String(sealed, StandardCharsets.ISO_8859_1).contains("planted"), "sealed");
      SdkBytes data = SdkBytes.fromByteArray(sealed);
      records.add(PutRecordsRequestEntry.builder().partitionKey("k").data(data).build());
    }
    int failed = kinesis.putRecords(p -> p.streamName("orders").records(records)).failedRecordCount();
    check(failed == 0, failed + " puts failed");

    List<byte[]> read = new ArrayList<>();
    String iterator =
        kinesis
            .getShardIterator(
                i ->
                    i.streamName("orders")
                        .shardId("shardId-000000000000")
                        .shardIteratorType(ShardIteratorType.TRIM_HORIZON))
            .shardIterator();
    for (int call = 0; read.size() < COUNT && call < 100; call++) {
      String at = iterator;
      var got = kinesis.getRecords(g -> g.shardIterator(at));
      for (Record record : got.records()) {
        read.add(record.data().asByteArray());
      }
      iterator = got.nextShardIterator();
    }
    check(read.size() == COUNT, "read " + read.size());

    for (KmsMasterKeyProvider provider : List.of(strict, provider().buildDiscovery())) {
      for (int n = 0; n < COUNT; n++) {
        CryptoResult<byte[], KmsMasterKey> opened = crypto.decryptData(provider, read.get(n));
        check(java.util.Arrays.equals(opened.getResult(), plain(n)), "record " + n);
        boolean there = opened.getEncryptionContext().entrySet().containsAll(CONTEXT.entrySet());
        check(there, "context of record " + n);
        check(opened.getMasterKeyIds().contains(key), "key of record " + n);
      }
    }

    kms.disableKey(k -> k.keyId(key));
    boolean refused = false;
    try {
      crypto.decryptData(strict, read.get(0));
    } catch (RuntimeException expected) {
      refused = true;
    }
    check(refused, "a disabled key opens nothing");
    kms.enableKey(k -> k.keyId(key));
    kms.rotateKeyOnDemand(k -> k.keyId(key));
    check(java.util.Arrays.equals(crypto.decryptData(strict, read.get(0)).getResult(), plain(0)), "rotated");
    System.out.println("ok");
  }

  private static byte[] plain(int n) {
    return ("planted plaintext " + n).getBytes(StandardCharsets.UTF_8);
  }

  private static KmsMasterKeyProvider.Builder provider() {
    return KmsMasterKeyProvider.builder()
        .defaultRegion(Region.US_EAST_1)
        .builderSupplier(Encrypt::kmsBuilder);
  }

  private static KmsClientBuilder kmsBuilder() {
    return here(KmsClient.builder()).httpClientBuilder(UrlConnectionHttpClient.builder());
  }

  private static <B extends AwsClientBuilder<B, ?>> B here(B builder) {
    return builder
        .endpointOverride(endpoint)
        .region(Region.US_EAST_1)
        .credentialsProvider(
            StaticCredentialsProvider.create(AwsBasicCredentials.create("AKID", "secret")));
  }

  private static void check(boolean holds, String what) {
    if (!holds) {
      throw new AssertionError(what);
    }
  }
}
