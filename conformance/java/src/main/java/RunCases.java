import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.math.BigDecimal;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.AwsCredentialsProvider;
import software.amazon.awssdk.awscore.exception.AwsServiceException;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.core.SdkField;
import software.amazon.awssdk.core.SdkPojo;
import software.amazon.awssdk.core.SdkResponse;
import software.amazon.awssdk.core.traits.ListTrait;
import software.amazon.awssdk.core.traits.MapTrait;
import software.amazon.awssdk.core.util.SdkAutoConstructList;
import software.amazon.awssdk.core.util.SdkAutoConstructMap;
import software.amazon.awssdk.http.urlconnection.UrlConnectionHttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.retries.DefaultRetryStrategy;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.awssdk.services.kinesis.model.KinesisRequest;
import software.amazon.awssdk.utils.builder.Buildable;

/**
 * Performs calls through the AWS SDK for Java v2: a driver of the conformance tests.
 *
 * <p>Usage: RunCases ENDPOINT sync|async. Reads one call per line and prints one answer per line, in
 * the neutral form that conformance/src/driver.rs describes. Both clients are used as they come:
 * CBOR for both, HTTP/2 with prior knowledge for the async one. Nothing here knows an operation: the
 * SDK's own field descriptions tell bytes from times.
 */
public final class RunCases {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final String MODEL = "software.amazon.awssdk.services.kinesis.model.";

  private final String endpoint;
  private final boolean async;
  private final Map<String, Object> clients = new LinkedHashMap<>();
  private String account = "000000000000";

  private RunCases(String endpoint, boolean async) {
    this.endpoint = endpoint;
    this.async = async;
  }

  public static void main(String[] args) throws Exception {
    RunCases driver = new RunCases(args[0], args[1].equals("async"));
    BufferedReader lines =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    java.io.PrintStream out = new java.io.PrintStream(System.out, true, StandardCharsets.UTF_8);
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      ObjectNode answer;
      try {
        answer = driver.answer(JSON.readTree(line));
      } catch (Throwable trouble) {
        java.io.StringWriter text = new java.io.StringWriter();
        trouble.printStackTrace(new java.io.PrintWriter(text));
        answer = JSON.createObjectNode().put("trouble", text.toString());
      }
      out.println(JSON.writeValueAsString(answer));
    }
    System.exit(0);
  }

  private ObjectNode answer(JsonNode call) throws Exception {
    account = call.get("account").asText();
    Object client = clients.computeIfAbsent(call.get("region").asText(), this::connect);
    String operation = call.get("op").asText();
    Class<?> type = Class.forName(MODEL + operation + "Request");
    Object request = build(type, call.get("in"));
    String name = Character.toLowerCase(operation.charAt(0)) + operation.substring(1);
    Class<?> face = async ? KinesisAsyncClient.class : KinesisClient.class;
    Method method = face.getMethod(name, type);
    ObjectNode answer = JSON.createObjectNode();
    try {
      Object result = method.invoke(client, request);
      if (async) {
        result = ((CompletableFuture<?>) result).join();
      }
      answer.put("status", ((SdkResponse) result).sdkHttpResponse().statusCode());
      answer.set("out", JSON.valueToTree(neutral(result)));
    } catch (InvocationTargetException | CompletionException wrapped) {
      if (!(wrapped.getCause() instanceof AwsServiceException fault)) {
        throw wrapped;
      }
      answer.put("status", fault.statusCode());
      answer.put("error", fault.awsErrorDetails().errorCode());
      answer.put("message", fault.awsErrorDetails().errorMessage());
    }
    return answer;
  }

  private Object connect(String region) {
    AwsCredentialsProvider credentials = () -> AwsBasicCredentials.create(account, "secret");
    if (async) {
      return KinesisAsyncClient.builder()
          .endpointOverride(URI.create(endpoint))
          .region(Region.of(region))
          .credentialsProvider(credentials)
          .overrideConfiguration(c -> c.retryStrategy(DefaultRetryStrategy.doNotRetry()))
          .build();
    }
    return KinesisClient.builder()
        .endpointOverride(URI.create(endpoint))
        .region(Region.of(region))
        .credentialsProvider(credentials)
        .httpClientBuilder(UrlConnectionHttpClient.builder())
        .overrideConfiguration(c -> c.retryStrategy(DefaultRetryStrategy.doNotRetry()))
        .build();
  }

  private static Object build(Class<?> type, JsonNode members) throws Exception {
    Object builder = type.getMethod("builder").invoke(null);
    Map<String, SdkField<?>> fields = new LinkedHashMap<>();
    for (SdkField<?> field : ((SdkPojo) builder).sdkFields()) {
      fields.put(field.locationName(), field);
    }
    for (Iterator<Map.Entry<String, JsonNode>> i = members.fields(); i.hasNext(); ) {
      Map.Entry<String, JsonNode> member = i.next();
      SdkField<?> field = fields.get(member.getKey());
      if (field == null) {
        throw new IllegalArgumentException("no member " + member.getKey() + " in " + type);
      }
      field.set(builder, toSdk(field, member.getValue()));
    }
    return ((Buildable) builder).build();
  }

  private static Object toSdk(SdkField<?> field, JsonNode value) throws Exception {
    switch (field.marshallingType().getTargetClass().getSimpleName()) {
      case "String":
        return value.asText();
      case "Integer":
        return value.asInt();
      case "Long":
        return value.asLong();
      case "Boolean":
        return value.asBoolean();
      case "Instant":
        BigDecimal millis = value.decimalValue().movePointRight(3);
        return Instant.ofEpochMilli(millis.setScale(0, java.math.RoundingMode.HALF_UP).longValue());
      case "SdkBytes":
        return SdkBytes.fromByteArray(Base64.getDecoder().decode(value.asText()));
      case "List":
        SdkField<?> item = field.getTrait(ListTrait.class).memberFieldInfo();
        List<Object> list = new ArrayList<>();
        for (JsonNode one : value) {
          list.add(toSdk(item, one));
        }
        return list;
      case "Map":
        SdkField<?> entry = field.getTrait(MapTrait.class).valueFieldInfo();
        Map<String, Object> map = new LinkedHashMap<>();
        for (Iterator<Map.Entry<String, JsonNode>> i = value.fields(); i.hasNext(); ) {
          Map.Entry<String, JsonNode> one = i.next();
          map.put(one.getKey(), toSdk(entry, one.getValue()));
        }
        return map;
      default:
        Object builder = field.constructor().get();
        return build(builder.getClass().getEnclosingClass(), value);
    }
  }

  private static Object neutral(Object value) {
    if (value instanceof SdkPojo pojo) {
      Map<String, Object> members = new LinkedHashMap<>();
      for (SdkField<?> field : pojo.sdkFields()) {
        Object member = field.getValueOrDefault(pojo);
        boolean absent =
            member == null
                || member instanceof SdkAutoConstructList
                || member instanceof SdkAutoConstructMap;
        if (!absent) {
          members.put(field.locationName(), neutral(member));
        }
      }
      return members;
    }
    if (value instanceof List<?> list) {
      return list.stream().map(RunCases::neutral).toList();
    }
    if (value instanceof Map<?, ?> map) {
      Map<String, Object> entries = new LinkedHashMap<>();
      map.forEach((key, entry) -> entries.put(key.toString(), neutral(entry)));
      return entries;
    }
    if (value instanceof Instant time) {
      return BigDecimal.valueOf(time.toEpochMilli(), 3);
    }
    if (value instanceof SdkBytes bytes) {
      return Base64.getEncoder().encodeToString(bytes.asByteArray());
    }
    return value;
  }
}
