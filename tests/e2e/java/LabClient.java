// The official Java client for what the Python one lacks: each case with a client of its own.

import com.fasterxml.jackson.databind.JsonNode;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
import java.util.zip.CRC32;
import org.apache.pulsar.client.api.*;
import org.apache.pulsar.client.api.transaction.Transaction;

public class LabClient extends LabCases {
    static final int PATIENCE = 45; // seconds; a broker that has just got a bundle may take up to 30 s until it gives out messages
    static final Queue<PulsarClient> OPEN = new ConcurrentLinkedQueue<>(); // closed when the case is over

    static {
        CASES.put("roundtrip", LabClient::roundtrip);
        CASES.put("chunks", LabClient::chunks);
        CASES.put("keyShared", LabClient::keyShared);
        CASES.put("transactions", LabClient::transactions);
        CASES.put("pattern", LabClient::pattern);
        CASES.put("refresh", LabClient::refresh);
        CASES.put("partitions", LabClient::partitions);
        CASES.put("schema", LabClient::schema);
        CASES.put("busy", LabClient::busy);
    }

    public static void main(String[] arguments) throws Exception {
        serve(() -> {}, answer -> {
            for (PulsarClient client; (client = OPEN.poll()) != null;) client.closeAsync(); // close() would rest for two seconds
        });
    }

    // ---- help

    static ClientBuilder builder(JsonNode r) throws Exception {
        int patience = number(r, "patience", 20);
        ClientBuilder b = PulsarClient.builder().serviceUrl(r.get("url").asText()).operationTimeout(patience, TimeUnit.SECONDS)
                .lookupTimeout(patience, TimeUnit.SECONDS).ioThreads(1).listenerThreads(1).statsInterval(0, TimeUnit.SECONDS);
        if (r.has("token")) b.authentication(AuthenticationFactory.token(r.get("token").asText()));
        if (r.has("cert")) b.authentication(AuthenticationFactory.TLS(r.get("cert").asText(), r.get("key").asText()));
        if (r.has("trust")) b.tlsTrustCertsFilePath(r.get("trust").asText()).enableTlsHostnameVerification(r.path("verify").asBoolean(true));
        if (r.has("cert")) b.authentication(AuthenticationFactory.TLS(r.get("cert").asText(), r.get("key").asText()));
        if (r.has("sniProxy")) b.proxyServiceUrl(r.get("sniProxy").asText(), ProxyProtocol.SNI);
        if (r.has("listener")) b.listenerName(r.get("listener").asText());
        if (r.has("properties")) {
            Map<String, String> properties = new TreeMap<>();
            r.get("properties").fields().forEachRemaining(f -> properties.put(f.getKey(), f.getValue().asText()));
            b.lookupProperties(properties);
        }
        return b;
    }

    static PulsarClient open(ClientBuilder b) throws Exception {
        PulsarClient client = b.build();
        OPEN.add(client);
        return client;
    }

    static PulsarClient open(JsonNode r) throws Exception { return open(builder(r)); }

    static void check(boolean good, String what) { if (!good) throw new AssertionError(what); }

    static byte[] body(int number, int size) {
        byte[] data = new byte[size];
        new Random(number).nextBytes(data);
        return data;
    }

    static String sum(byte[] data) { CRC32 crc = new CRC32(); crc.update(data); return Long.toHexString(crc.getValue()); }

    static TypedMessageBuilder<byte[]> numbered(TypedMessageBuilder<byte[]> b, int number, int size) {
        byte[] data = body(number, size);
        return b.value(data).property("n", Integer.toString(number)).property("sum", sum(data));
    }

    /** The number of a message whose checksum is right. */
    static int numberOf(Message<byte[]> m) {
        check(sum(m.getData()).equals(m.getProperty("sum")), "message " + m.getProperty("n") + " is damaged");
        return Integer.parseInt(m.getProperty("n"));
    }

    static Message<byte[]> next(Consumer<byte[]> c) throws Exception {
        Message<byte[]> m = c.receive(PATIENCE, TimeUnit.SECONDS);
        check(m != null, "nothing more within " + PATIENCE + " s");
        return m;
    }

    static ConsumerBuilder<byte[]> reading(PulsarClient client, String... topics) {
        return client.newConsumer().topic(topics).subscriptionName("s").subscriptionInitialPosition(SubscriptionInitialPosition.Earliest);
    }

    // ---- cases

    static Map<String, Object> roundtrip(JsonNode r) throws Exception {
        int count = number(r, "count", 100), size = number(r, "size", 100);
        String topic = r.get("topic").asText();
        PulsarClient client = open(r);
        try (Consumer<byte[]> consumer = reading(client, topic).subscribe();
                Producer<byte[]> producer = client.newProducer().topic(topic).blockIfQueueFull(true).create()) {
            for (int i = 0; i < count; i++) numbered(producer.newMessage(), i, size).sendAsync();
            producer.flush();
            for (int i = 0; i < count; i++) {
                Message<byte[]> m = next(consumer);
                check(numberOf(m) == i, "wanted " + i + ", got " + m.getProperty("n"));
                consumer.acknowledge(m);
            }
        }
        return Map.of("count", count);
    }

    /** Messages larger than the broker's limit, cut by the producer and put together by the consumer. */
    static Map<String, Object> chunks(JsonNode r) throws Exception {
        int count = number(r, "count", 3), size = r.get("size").asInt();
        String topic = r.get("topic").asText();
        PulsarClient client = open(r);
        try (Consumer<byte[]> consumer = reading(client, topic).subscribe();
                Producer<byte[]> producer = client.newProducer().topic(topic).enableChunking(true).enableBatching(false).create()) {
            for (int i = 0; i < count; i++) {
                numbered(producer.newMessage(), i, size).send();
                Message<byte[]> m = next(consumer);
                check(numberOf(m) == i && m.getData().length == size, "wrong message");
                check(m.getMessageId().getClass().getSimpleName().contains("Chunk"), "not chunked: " + m.getMessageId().getClass());
                consumer.acknowledge(m);
            }
        }
        return Map.of("count", count);
    }

    /** Three consumers share a topic by key: each key stays with one of them and in order. */
    static Map<String, Object> keyShared(JsonNode r) throws Exception {
        int count = number(r, "count", 600), keys = number(r, "keys", 30);
        String topic = r.get("topic").asText();
        Map<String, Integer> last = new ConcurrentHashMap<>();
        Map<String, String> owner = new ConcurrentHashMap<>();
        Set<String> busy = ConcurrentHashMap.newKeySet();
        Queue<String> wrong = new ConcurrentLinkedQueue<>();
        CountDownLatch all = new CountDownLatch(count);
        for (int i = 0; i < 3; i++) {
            String name = "consumer-" + i;
            reading(open(r), topic).consumerName(name).subscriptionType(SubscriptionType.Key_Shared).messageListener((c, m) -> {
                int n = numberOf(m);
                Integer before = last.put(m.getKey(), n);
                String other = owner.put(m.getKey(), name);
                if (before != null && before >= n) wrong.add(m.getKey() + ": " + before + " before " + n);
                if (other != null && !other.equals(name)) wrong.add(m.getKey() + ": " + other + " and " + name);
                busy.add(name);
                c.acknowledgeAsync(m);
                all.countDown();
            }).subscribe();
        }
        try (Producer<byte[]> producer = open(r).newProducer().topic(topic).batcherBuilder(BatcherBuilder.KEY_BASED).create()) {
            for (int i = 0; i < count; i++) numbered(producer.newMessage().key("k" + i % keys), i, 50).sendAsync();
            producer.flush();
        }
        check(all.await(PATIENCE, TimeUnit.SECONDS), all.getCount() + " messages missing");
        check(wrong.isEmpty(), wrong.toString());
        return Map.of("consumers", busy.size());
    }

    /** Two topics written and one acknowledged in a transaction, one committed, one aborted: all or nothing is seen. */
    static Map<String, Object> transactions(JsonNode r) throws Exception {
        String[] topics = {r.get("topics").get(0).asText(), r.get("topics").get(1).asText()};
        int count = number(r, "count", 20);
        PulsarClient client = open(builder(r).enableTransaction(true));
        List<Producer<byte[]>> producers = new ArrayList<>();
        for (String topic : topics) producers.add(client.newProducer().topic(topic).sendTimeout(0, TimeUnit.SECONDS).create());
        Consumer<byte[]> consumer = reading(client, topics).subscribe();
        for (int round = 0; round < 3; round++) { // the middle one is aborted
            Transaction txn = client.newTransaction().withTransactionTimeout(30, TimeUnit.SECONDS).build().get(20, TimeUnit.SECONDS);
            for (int i = 0; i < count; i++)
                for (Producer<byte[]> p : producers) numbered(p.newMessage(txn), round * count + i, 200).send();
            check(consumer.receive(300, TimeUnit.MILLISECONDS) == null, "an open transaction is visible");
            if (round == 1) txn.abort().get(20, TimeUnit.SECONDS); else txn.commit().get(20, TimeUnit.SECONDS);
            Map<String, Integer> seen = new TreeMap<>();
            for (int i = 0; round != 1 && i < 2 * count; i++) {
                Message<byte[]> m = next(consumer);
                int want = seen.merge(m.getTopicName(), 1, Integer::sum) - 1 + round * count;
                check(numberOf(m) == want, m.getTopicName() + ": wanted " + want + ", got " + numberOf(m));
                if (i >= 2) { consumer.acknowledge(m); continue; }
                Transaction ack = client.newTransaction().withTransactionTimeout(30, TimeUnit.SECONDS).build().get(20, TimeUnit.SECONDS);
                consumer.acknowledgeAsync(m.getMessageId(), ack).get(20, TimeUnit.SECONDS);
                ack.commit().get(20, TimeUnit.SECONDS);
            }
        }
        check(consumer.receive(500, TimeUnit.MILLISECONDS) == null, "an aborted message is visible");
        consumer.close();
        for (Producer<byte[]> p : producers) p.close();
        return Map.of("count", count);
    }

    /** A regex subscription is told of a new topic by the broker's watch, long before the client would poll. */
    static Map<String, Object> pattern(JsonNode r) throws Exception {
        String prefix = r.get("prefix").asText(); // persistent://public/default/name
        int topics = number(r, "topics", 6);
        PulsarClient client = open(r);
        for (int i = 0; i < topics; i++) one(client, prefix + "-" + i, i);
        Consumer<byte[]> consumer = client.newConsumer().topicsPattern(Pattern.compile(prefix + "-.*")).subscriptionName("s")
                .subscriptionInitialPosition(SubscriptionInitialPosition.Earliest).patternAutoDiscoveryPeriod(600, TimeUnit.SECONDS).subscribe();
        Set<Integer> got = new TreeSet<>();
        for (int i = 0; i < topics; i++) got.add(numberOf(next(consumer)));
        check(got.size() == topics, "only " + got);
        long began = System.nanoTime();
        one(client, prefix + "-late", 77);
        check(numberOf(next(consumer)) == 77, "not the late one");
        consumer.close();
        return Map.of("late_ms", (System.nanoTime() - began) / 1_000_000);
    }

    static void one(PulsarClient client, String topic, int n) throws Exception {
        try (Producer<byte[]> p = client.newProducer().topic(topic).create()) { numbered(p.newMessage(), n, 100).send(); }
    }

    /** Short-lived tokens, renewed when the broker asks: the connections live on. The request brings a list of tokens, each `life` s. */
    static Map<String, Object> refresh(JsonNode r) throws Exception {
        List<String> tokens = new ArrayList<>();
        r.get("tokens").forEach(t -> tokens.add(t.asText()));
        long began = System.nanoTime();
        int life = r.get("life").asInt(), seconds = r.get("length").asInt();
        AtomicInteger asked = new AtomicInteger();
        // the youngest token that is still good: token i is good until (i + 1) * life
        Authentication renewing = AuthenticationFactory.token(() -> {
            asked.incrementAndGet();
            return tokens.get(Math.min((int) ((System.nanoTime() - began) / 1_000_000_000L / life), tokens.size() - 1));
        });
        String topic = r.get("topic").asText();
        int sent = 0;
        PulsarClient client = open(builder(r).authentication(renewing));
        try (Consumer<byte[]> consumer = reading(client, topic).subscribe();
                Producer<byte[]> producer = client.newProducer().topic(topic).create()) {
            while (System.nanoTime() - began < seconds * 1_000_000_000L) {
                numbered(producer.newMessage(), sent, 100).send();
                Message<byte[]> m = next(consumer);
                check(numberOf(m) == sent++, "order");
                consumer.acknowledge(m);
                Thread.sleep(20);
            }
            // a topic nobody has looked up yet: the lookup connection must be in good standing as well
            for (int i = 0; i < 4; i++) one(client, topic + "-later-" + i, i);
        }
        return Map.of("sent", sent, "asked", asked.get());
    }

    /** The error of a partition lookup for a topic that does not exist, under its own name. */
    static Map<String, Object> partitions(JsonNode r) throws Exception {
        return Map.of("count", open(r).getPartitionsForTopic(r.get("topic").asText(), false).get(15, TimeUnit.SECONDS).size());
    }

    public static class Apple { public String name; public int weight; }

    public static class Pear { public double name; public boolean soft; }

    /** A JSON schema is created through the gate, read back, and an incompatible one is refused. */
    static Map<String, Object> schema(JsonNode r) throws Exception {
        String topic = r.get("topic").asText();
        PulsarClient client = open(r);
        try (Producer<Apple> p = client.newProducer(Schema.JSON(Apple.class)).topic(topic).create();
                Consumer<Apple> c = client.newConsumer(Schema.JSON(Apple.class)).topic(topic).subscriptionName("s").subscribe()) {
            for (int i = 0; i < 20; i++) { Apple a = new Apple(); a.name = "apple " + i; a.weight = i; p.send(a); }
            for (int i = 0; i < 20; i++) {
                Message<Apple> m = c.receive(PATIENCE, TimeUnit.SECONDS);
                check(m != null && m.getValue().weight == i && m.getValue().name.equals("apple " + i), "apple " + i);
                c.acknowledge(m);
            }
        }
        try (Consumer<org.apache.pulsar.client.api.schema.GenericRecord> c = client.newConsumer(Schema.AUTO_CONSUME()).topic(topic)
                .subscriptionName("auto").subscriptionInitialPosition(SubscriptionInitialPosition.Earliest).subscribe()) {
            check(c.receive(PATIENCE, TimeUnit.SECONDS).getValue().getField("name").equals("apple 0"), "read by the stored schema");
        }
        try {
            client.newProducer(Schema.JSON(Pear.class)).topic(topic).create();
        } catch (PulsarClientException.IncompatibleSchemaException refused) {
            return Map.of("refused", refused.getClass().getSimpleName());
        }
        throw new AssertionError("pears were taken for apples");
    }

    /** Many connections, all at work: `clients` clients with `connections` each per broker, a producer and a consumer per topic. */
    static Map<String, Object> busy(JsonNode r) throws Exception {
        int clients = r.get("clients").asInt(), count = number(r, "count", 50);
        List<String> topics = new ArrayList<>();
        r.get("topics").forEach(t -> topics.add(t.asText()));
        List<CompletableFuture<Void>> work = new ArrayList<>();
        ExecutorService pool = Executors.newFixedThreadPool(16);
        try {
            for (int i = 0; i < clients; i++) {
                PulsarClient client = open(r);
                String topic = topics.get(i % topics.size()), name = "s" + i;
                work.add(CompletableFuture.runAsync(() -> { try { alone(client, topic, name, count); } catch (Exception e) { throw new CompletionException(e); } }, pool));
            }
            CompletableFuture.allOf(work.toArray(new CompletableFuture[0])).get(60, TimeUnit.SECONDS);
        } finally {
            pool.shutdownNow();
        }
        return Map.of("messages", clients * count);
    }

    /** Reads back what it wrote, among what others write to the same topic. */
    static void alone(PulsarClient client, String topic, String name, int count) throws Exception {
        try (Consumer<byte[]> consumer = client.newConsumer().topic(topic).subscriptionName(name).subscribe();
                Producer<byte[]> producer = client.newProducer().topic(topic).create()) {
            for (int i = 0; i < count; i++) numbered(producer.newMessage().property("by", name), i, 1000).sendAsync();
            producer.flush();
            for (int want = 0; want < count;) {
                Message<byte[]> m = next(consumer);
                if (name.equals(m.getProperty("by"))) check(numberOf(m) == want++, name + ": order");
                consumer.acknowledgeAsync(m);
            }
        }
    }
}
