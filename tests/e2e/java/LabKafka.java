// The Java client of Kafka, which negotiates the newest version of everything: each case ({"case": "...", "servers": "...",
// "config": {...}, ...}) with clients of its own. "known" is in every answer: the addresses that the case's clients had at their ends.

import com.fasterxml.jackson.databind.JsonNode;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.IntConsumer;
import java.util.function.IntFunction;
import java.util.zip.CRC32;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.GroupState;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.serialization.*;

public class LabKafka extends LabCases {
    static {
        CASES.put("roundtrip", LabKafka::roundtrip);
        CASES.put("transactions", LabKafka::transactions);
        CASES.put("share", LabKafka::share);
        CASES.put("describe", LabKafka::describe);
        CASES.put("move", LabKafka::move);
        CASES.put("load", LabKafka::load);
        CASES.put("contents", LabKafka::contents);
        CASES.put("transactions in trouble", LabTrouble::transactions);
        CASES.put("share in trouble", LabTrouble::share);
        CASES.put("coordinator", LabTrouble::coordinator);
        CASES.put("delete", LabKafka::delete);
        CASES.put("metadata", LabKafka::metadata);
        CASES.put("group", LabKafka::group);
        CASES.put("tour", LabKafka::tour);
        CASES.put("coordinators", LabKafka::coordinators);
        CASES.put("fresh", LabKafka::freshTopic);
        CASES.put("feature", LabKafka::feature);
        CASES.put("groups", LabKafka::groups);
        CASES.put("unregister", LabKafka::unregister);
        CASES.put("heap", LabKafka::heap);
        CASES.put("logger", LabKafka::logger);
        CASES.put("backlog", LabKafka::backlog);
        CASES.put("create", LabKafka::createTopic);
        CASES.put("produce", LabKafka::produceSome);
    }

    public static void main(String[] arguments) throws Exception {
        serve(KNOWN::clear, answer -> answer.put("known", new TreeSet<>(KNOWN)));
    }

    // ---- help

    static final Set<String> KNOWN = ConcurrentHashMap.newKeySet();

    /** The same client; what it has learned is written down when it is closed. */
    @SuppressWarnings("unchecked")
    static <T> T watched(Class<T> type, T client) {
        return (T) Proxy.newProxyInstance(LabKafka.class.getClassLoader(), new Class<?>[] {type}, (proxy, method, arguments) -> {
            if (method.getName().equals("close")) KNOWN.addAll(Known.of(client));
            try {
                return method.invoke(client, arguments);
            } catch (InvocationTargetException error) {
                throw error.getCause();
            }
        });
    }

    static String fresh() { return "t-" + UUID.randomUUID().toString().substring(0, 10); }

    static Map<String, Object> config(JsonNode r, Object... more) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", r.get("servers").asText());
        if (r.has("config")) r.get("config").fields().forEachRemaining(f -> config.put(f.getKey(), f.getValue().asText()));
        for (int i = 0; i < more.length; i += 2) config.put((String) more[i], more[i + 1]);
        return config;
    }

    static byte[] message(int number, int size) {
        StringBuilder body = new StringBuilder(number + " ");
        while (body.length() < size) body.append('x');
        CRC32 crc = new CRC32();
        crc.update(body.toString().getBytes(StandardCharsets.US_ASCII));
        return (number + " " + crc.getValue() + " " + body).getBytes(StandardCharsets.US_ASCII);
    }

    static int numberOf(byte[] data) {
        String[] parts = new String(data, StandardCharsets.US_ASCII).split(" ", 3);
        CRC32 crc = new CRC32();
        crc.update(parts[2].getBytes(StandardCharsets.US_ASCII));
        if (crc.getValue() != Long.parseLong(parts[1])) throw new IllegalStateException("message " + parts[0] + " is damaged");
        return Integer.parseInt(parts[0]);
    }

    static Admin admin(JsonNode r) { return watched(Admin.class, Admin.create(config(r, "request.timeout.ms", 20000, "default.api.timeout.ms", 40000))); }

    @SuppressWarnings("unchecked")
    static Producer<byte[], byte[]> producer(JsonNode r, Object... more) {
        return watched(Producer.class, new KafkaProducer<>(config(r, more), new ByteArraySerializer(), new ByteArraySerializer()));
    }

    @SuppressWarnings("unchecked")
    static Consumer<byte[], byte[]> consumer(JsonNode r, Object... more) {
        Map<String, Object> config = config(r, "auto.offset.reset", "earliest", "isolation.level", "read_committed", "group.id", fresh(),
                "group.protocol", text(r, "protocol", "classic"));
        for (int i = 0; i < more.length; i += 2) config.put((String) more[i], more[i + 1]);
        return watched(Consumer.class, new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer()));
    }

    /** Comes back when every partition has a leader that knows it: else the first batch of an idempotent producer may be refused and its second
     *  taken, after which Kafka 4.4.0 refuses the first for ever (OUT_OF_ORDER_SEQUENCE_NUMBER). */
    static void create(JsonNode r, String topic, int partitions) throws Exception {
        try (Admin admin = admin(r)) {
            admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 3))).all().get(30, TimeUnit.SECONDS);
            Map<TopicPartition, OffsetSpec> ends = new HashMap<>();
            for (int i = 0; i < partitions; i++) ends.put(new TopicPartition(topic, i), OffsetSpec.latest());
            retried(() -> admin.listOffsets(ends).all().get(30, TimeUnit.SECONDS));
        }
    }

    /** A fresh topic, and a broker that has not heard of it. */
    static <T> T retried(Callable<T> what) throws Exception {
        for (long deadline = System.nanoTime() + 20_000_000_000L;; Thread.sleep(200))
            try {
                return what.call();
            } catch (ExecutionException error) {
                if (!(error.getCause() instanceof org.apache.kafka.common.errors.UnknownTopicOrPartitionException) || System.nanoTime() > deadline) throw error;
            }
    }

    static String show(Node node) { return node.id() + " " + node.host() + ":" + node.port(); }

    /** Every address of a broker that any of the admin's answers gives. */
    static Set<String> nodes(Admin admin, String topic, String group) throws Exception {
        Set<String> nodes = new TreeSet<>();
        DescribeClusterResult cluster = admin.describeCluster();
        for (Node node : cluster.nodes().get(30, TimeUnit.SECONDS)) nodes.add(show(node));
        nodes.add(show(cluster.controller().get(30, TimeUnit.SECONDS)));
        if (topic != null)
            for (TopicPartitionInfo info : admin.describeTopics(List.of(topic)).allTopicNames().get(30, TimeUnit.SECONDS).get(topic).partitions()) {
                nodes.add(show(info.leader()));
                for (Node node : info.replicas()) nodes.add(show(node));
            }
        if (group != null)
            nodes.add(show(admin.describeConsumerGroups(List.of(group)).describedGroups().get(group).get(30, TimeUnit.SECONDS).coordinator()));
        return nodes;
    }

    static void produce(Producer<byte[], byte[]> producer, String topic, int first, int count, int size) throws Exception {
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (int i = first; i < first + count; i++)
            sent.add(producer.send(new ProducerRecord<>(topic, ("k" + i % 101).getBytes(StandardCharsets.US_ASCII), message(i, size))));
        for (Future<RecordMetadata> one : sent) one.get(60, TimeUnit.SECONDS);
    }

    static List<Integer> consume(Consumer<byte[], byte[]> consumer, int count, int seconds) {
        List<Integer> got = new ArrayList<>();
        long deadline = System.nanoTime() + seconds * 1_000_000_000L;
        while (got.size() < count && System.nanoTime() < deadline)
            for (ConsumerRecord<byte[], byte[]> one : consumer.poll(Duration.ofMillis(300))) got.add(numberOf(one.value()));
        return got;
    }

    static Map<String, Object> judged(List<Integer> got, int count) {
        Set<Integer> missing = new TreeSet<>();
        for (int i = 0; i < count; i++) missing.add(i);
        missing.removeAll(got);
        return new HashMap<>(Map.of("missing", new ArrayList<>(missing).subList(0, Math.min(5, missing.size())), "twice",
                got.size() - new HashSet<>(got).size()));
    }

    // ---- cases

    static Map<String, Object> roundtrip(JsonNode r) throws Exception {
        String topic = fresh(), group = fresh();
        int count = number(r, "count", 1000);
        create(r, topic, number(r, "partitions", 6));
        try (Producer<byte[], byte[]> producer = producer(r, "acks", "all")) {
            produce(producer, topic, 0, count, number(r, "size", 100));
        }
        List<Integer> got;
        try (Consumer<byte[], byte[]> consumer = consumer(r, "group.id", group)) {
            consumer.subscribe(List.of(topic));
            got = consume(consumer, count, 40);
            consumer.commitSync();
        }
        Map<String, Object> answer = judged(got, count);
        try (Admin admin = admin(r)) {
            answer.put("brokers", nodes(admin, topic, group));
        }
        answer.put("topic", topic);
        return answer;
    }

    /** Does it leave out AddPartitionsToTxn (KIP-890)? It does if the brokers' features, which come with ApiVersions, say so. */
    static boolean isV2(KafkaProducer<?, ?> producer) throws ReflectiveOperationException {
        var field = KafkaProducer.class.getDeclaredField("transactionManager");
        field.setAccessible(true);
        var method = field.getType().getDeclaredMethod("isTransactionV2Enabled");
        method.setAccessible(true);
        return (boolean) method.invoke(field.get(producer));
    }

    /** One committed, one aborted, one with offsets in it. */
    static Map<String, Object> transactions(JsonNode r) throws Exception {
        String topic = fresh();
        create(r, topic, 3);
        boolean isV2;
        try (KafkaProducer<byte[], byte[]> bare = new KafkaProducer<>(config(r, "transactional.id", fresh()), new ByteArraySerializer(),
                new ByteArraySerializer());
                Producer<byte[], byte[]> producer = watched(Producer.class, bare)) {
            producer.initTransactions();
            producer.beginTransaction();
            produce(producer, topic, 0, 100, 50);
            isV2 = isV2(bare);
            producer.commitTransaction();
            producer.beginTransaction();
            produce(producer, topic, 1000, 100, 50);
            producer.abortTransaction();
            producer.beginTransaction();
            produce(producer, topic, 100, 100, 50);
            producer.sendOffsetsToTransaction(Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(1)), new ConsumerGroupMetadata(fresh()));
            producer.commitTransaction();
        }
        try (Consumer<byte[], byte[]> consumer = consumer(r)) {
            consumer.subscribe(List.of(topic));
            List<Integer> got = consume(consumer, 200, 40);
            Collections.sort(got);
            return Map.of("got", got, "v2", isV2);
        }
    }

    static Map<String, Object> share(JsonNode r) throws Exception {
        String topic = fresh(), group = fresh();
        int count = number(r, "count", 500);
        create(r, topic, 3);
        shareFromTheBeginning(r, group);
        try (Producer<byte[], byte[]> producer = producer(r)) {
            produce(producer, topic, 0, count, 100);
        }
        List<Integer> got = new ArrayList<>();
        boolean moved = !r.path("move").asBoolean(false);
        try (ShareConsumer<byte[], byte[]> consumer = watched(ShareConsumer.class, new KafkaShareConsumer<>(config(r, "group.id", group),
                new ByteArrayDeserializer(), new ByteArrayDeserializer()))) {
            consumer.subscribe(List.of(topic));
            long deadline = System.nanoTime() + 90_000_000_000L; // for all of them once: a new leader hands out again what the old one had
            while (new HashSet<>(got).size() < count && System.nanoTime() < deadline) {
                for (ConsumerRecord<byte[], byte[]> one : consumer.poll(Duration.ofMillis(300))) got.add(numberOf(one.value()));
                if (!moved && got.size() > 0) { // the next fetch and the next acknowledgement meet brokers that lead no more
                    moveOnce(topic, r);
                    moved = true;
                }
            }
            consumer.commitSync();
        }
        return judged(got, count);
    }

    static Map<String, Object> describe(JsonNode r) throws Exception {
        Map<String, Object> answer = new HashMap<>();
        try (Admin admin = admin(r)) {
            answer.put("brokers", nodes(admin, text(r, "topic", null), null));
            if (r.path("quorum").asBoolean(false)) {
                Set<String> controllers = new TreeSet<>();
                QuorumInfo quorum = admin.describeMetadataQuorum().quorumInfo().get(30, TimeUnit.SECONDS);
                quorum.nodes().values().forEach(n -> n.endpoints().forEach(e -> controllers.add(n.nodeId() + " " + e.host() + ":" + e.port())));
                answer.put("controllers", controllers);
                answer.put("leader", quorum.leaderId());
            }
        }
        return answer;
    }

    static Map<String, Object> move(JsonNode r) throws Exception { return retried(() -> moveOnce(r.get("topic").asText(), r)); }

    /** Makes each partition's next replica its leader, as a reassignment and an election do. */
    static Map<String, Object> moveOnce(String topic, JsonNode r) throws Exception {
        try (Admin admin = admin(r)) {
            Map<TopicPartition, Optional<NewPartitionReassignment>> wanted = new HashMap<>();
            for (TopicPartitionInfo info : admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions()) {
                List<Integer> replicas = new ArrayList<>();
                info.replicas().forEach(node -> replicas.add(node.id()));
                Collections.rotate(replicas, 1);
                wanted.put(new TopicPartition(topic, info.partition()), Optional.of(new NewPartitionReassignment(replicas)));
            }
            admin.alterPartitionReassignments(wanted).all().get(30, TimeUnit.SECONDS);
            admin.electLeaders(org.apache.kafka.common.ElectionType.PREFERRED, wanted.keySet()).partitions().get(30, TimeUnit.SECONDS); // some lead already
        }
        return Map.of("moved", true);
    }

    /** In no group: all of a topic from its beginning on. */
    static Consumer<byte[], byte[]> reader(JsonNode r, String topic) {
        Consumer<byte[], byte[]> consumer = consumer(r);
        List<TopicPartition> all = new ArrayList<>();
        consumer.partitionsFor(topic).forEach(info -> all.add(new TopicPartition(topic, info.partition())));
        consumer.assign(all);
        consumer.seekToBeginning(all);
        return consumer;
    }

    /** All that is committed now. */
    static void read(JsonNode r, String topic, java.util.function.Consumer<ConsumerRecord<byte[], byte[]>> take) throws Exception {
        try (Consumer<byte[], byte[]> consumer = reader(r, topic)) {
            Map<TopicPartition, Long> ends = consumer.endOffsets(consumer.assignment());
            long deadline = System.nanoTime() + 120_000_000_000L;
            while (ends.keySet().stream().anyMatch(one -> consumer.position(one) < ends.get(one))) {
                if (System.nanoTime() > deadline) throw new TimeoutException(topic + " cannot be read to its end");
                consumer.poll(Duration.ofMillis(200)).forEach(take);
            }
        }
    }

    /** What a topic holds: how often each number, and whether each partition is in order. */
    static class Stored {
        final Map<Integer, Integer> times = new HashMap<>();
        boolean ordered = true;

        Stored(JsonNode r, String topic) throws Exception {
            Map<Integer, Integer> last = new HashMap<>();
            read(r, topic, one -> {
                int number = numberOf(one.value());
                times.merge(number, 1, Integer::sum);
                Integer before = last.put(one.partition(), number);
                ordered &= before == null || before < number;
            });
        }

        Map<String, Object> judged(Collection<Integer> wanted) {
            return new HashMap<>(Map.of("stored", times.size(), "missing", wanted.stream().filter(n -> !times.containsKey(n)).count(), "twice",
                    times.values().stream().filter(n -> n > 1).count(), "ordered", ordered));
        }
    }

    /** Of a topic that somebody else has filled, with numbers from 0 on. */
    static Map<String, Object> contents(JsonNode r) throws Exception {
        List<Integer> wanted = new ArrayList<>();
        for (int i = 0; i < r.get("count").asInt(); i++) wanted.add(i);
        return new Stored(r, r.get("topic").asText()).judged(wanted);
    }

    /** An idempotent producer that goes on through trouble, and which of its records were acknowledged. */
    static class Source implements AutoCloseable {
        final Set<Integer> acked = ConcurrentHashMap.newKeySet();
        final List<String> failed = new CopyOnWriteArrayList<>();
        int sent = 0;
        private final Producer<byte[], byte[]> producer;
        private final String topic;
        private final IntFunction<byte[]> body;

        /** The first batch of all to a partition must not be overtaken: its leader would take any number for the first, and refuse the true
         *  one for ever (KAFKA-14359). Later on it knows better. */
        Source(JsonNode r, String topic, IntFunction<byte[]> body) throws Exception {
            producer = producer(r, "acks", "all", "delivery.timeout.ms", 120000, "request.timeout.ms", 5000, "linger.ms", 2);
            this.topic = topic;
            this.body = body;
            for (PartitionInfo info : producer.partitionsFor(topic)) {
                int n = sent++;
                producer.send(new ProducerRecord<>(topic, info.partition(), null, body.apply(n))).get(60, TimeUnit.SECONDS);
                acked.add(n);
            }
        }

        void send(int count) {
            for (int i = 0; i < count; i++) {
                int n = sent++;
                producer.send(new ProducerRecord<>(topic, body.apply(n)), (metadata, error) -> {
                    if (error == null) acked.add(n); else failed.add(error.toString());
                });
            }
        }

        void flush() { producer.flush(); }

        Map<String, Object> judged() {
            return Map.of("sent", sent, "acked", acked.size(), "failed", failed.subList(0, Math.min(3, failed.size())));
        }

        @Override
        public void close() { producer.close(); }
    }

    /** Produces and consumes for so many seconds; whatever was acknowledged must arrive, and be in the log once. */
    static Map<String, Object> load(JsonNode r) throws Exception {
        String topic = r.get("topic").asText();
        List<Integer> got = new ArrayList<>();
        try (Source source = new Source(r, topic, n -> message(n, 200)); Consumer<byte[], byte[]> consumer = consumer(r)) {
            consumer.subscribe(List.of(topic));
            long end = System.nanoTime() + number(r, "time", 10) * 1_000_000_000L;
            while (System.nanoTime() < end) {
                source.send(20);
                for (ConsumerRecord<byte[], byte[]> one : consumer.poll(Duration.ofMillis(10))) got.add(numberOf(one.value()));
            }
            source.flush();
            long deadline = System.nanoTime() + 40_000_000_000L;
            while (!new HashSet<>(got).containsAll(source.acked) && System.nanoTime() < deadline)
                for (ConsumerRecord<byte[], byte[]> one : consumer.poll(Duration.ofMillis(200))) got.add(numberOf(one.value()));
            Set<Integer> lost = new TreeSet<>(source.acked);
            lost.removeAll(got);
            Map<String, Object> answer = new Stored(r, topic).judged(source.acked);
            answer.putAll(source.judged());
            answer.put("lost", lost.size());
            return answer;
        }
    }

    static Map<String, Object> delete(JsonNode r) throws Exception {
        try (Admin admin = admin(r)) {
            List<String> topics = new ArrayList<>();
            if (r.has("topic")) topics.add(r.get("topic").asText());
            if (r.has("topics")) r.get("topics").forEach(topic -> topics.add(topic.asText()));
            admin.deleteTopics(topics).all().get(60, TimeUnit.SECONDS);
        }
        return Map.of();
    }

    static Map<String, Object> produceSome(JsonNode r) throws Exception {
        try (Producer<byte[], byte[]> producer = producer(r)) {
            produce(producer, r.get("topic").asText(), number(r, "first", 0), r.get("count").asInt(), number(r, "size", 100));
        }
        return Map.of();
    }

    static Map<String, Object> createTopic(JsonNode r) throws Exception {
        String topic = fresh();
        create(r, topic, number(r, "partitions", 6));
        return Map.of("topic", topic);
    }

    /** Only looks: what a consumer that wants a topic which is not there makes of it. */
    static Map<String, Object> metadata(JsonNode r) throws Exception {
        String topic = r.get("topic").asText();
        try (Consumer<byte[], byte[]> consumer = consumer(r, "allow.auto.create.topics", true)) {
            consumer.subscribe(List.of(topic));
            consumer.poll(Duration.ofSeconds(3));
        }
        try (Admin admin = admin(r)) {
            return Map.of("exists", admin.listTopics().names().get(30, TimeUnit.SECONDS).contains(topic));
        }
    }

    /** Some consumers of one group while records come; one leaves and another one joins on the way. */
    static Map<String, Object> group(JsonNode r) throws Exception {
        String topic = fresh(), group = fresh();
        int count = 0, members = number(r, "members", 3);
        create(r, topic, 8);
        Set<Integer> got = ConcurrentHashMap.newKeySet();
        Map<Integer, Integer> counts = new ConcurrentHashMap<>();
        AtomicBoolean stop = new AtomicBoolean();
        ExecutorService threads = Executors.newCachedThreadPool();
        List<Future<?>> running = new ArrayList<>();
        IntConsumer join = member -> running.add(threads.submit(() -> {
            try (Consumer<byte[], byte[]> consumer = consumer(r, "group.id", group, "auto.commit.interval.ms", 200)) {
                consumer.subscribe(List.of(topic));
                while (!stop.get() && !(member == 0 && counts.getOrDefault(0, 0) > 100))
                    for (ConsumerRecord<byte[], byte[]> one : consumer.poll(Duration.ofMillis(100))) {
                        got.add(numberOf(one.value()));
                        counts.merge(member, 1, Integer::sum);
                    }
            }
            return null;
        }));
        for (int member = 0; member < members; member++) join.accept(member);
        try (Producer<byte[], byte[]> producer = producer(r)) {
            long deadline = System.nanoTime() + 40_000_000_000L; // members hear of each other by heartbeats, some 5 s apart
            for (; (count < 1000 || counts.size() <= members) && System.nanoTime() < deadline; count += 100) {
                if (count == 500) join.accept(members);
                produce(producer, topic, count, 100, 100);
                Thread.sleep(200);
            }
        }
        for (long deadline = System.nanoTime() + 40_000_000_000L; got.size() < count && System.nanoTime() < deadline;) Thread.sleep(50);
        stop.set(true);
        for (Future<?> one : running) one.get(30, TimeUnit.SECONDS);
        threads.shutdown();
        Map<String, Object> answer = judged(new ArrayList<>(got), count);
        answer.put("members", counts.size());
        return answer;
    }

    /** Leaders move one by one while a backlog is read in long responses: errors, and addresses with them, come together with others' records. */
    static Map<String, Object> backlog(JsonNode r) throws Exception {
        String topic = fresh(), group = fresh();
        int partitions = 12, count = partitions * number(r, "each", 300);
        create(r, topic, partitions);
        try (Producer<byte[], byte[]> producer = producer(r, "batch.size", 200000, "linger.ms", 20)) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < count; i++) sent.add(producer.send(new ProducerRecord<>(topic, i % partitions, null, message(i, 10000))));
            for (Future<RecordMetadata> one : sent) one.get(60, TimeUnit.SECONDS);
        }
        if (r.path("share").asBoolean(false)) shareFromTheBeginning(r, group);
        List<Integer> got = new ArrayList<>();
        AtomicBoolean stop = new AtomicBoolean();
        ExecutorService thread = Executors.newSingleThreadExecutor();
        Future<Integer> moves = thread.submit(() -> {
            try (Admin admin = admin(r)) {
                int n = 0;
                for (long calm = System.nanoTime() + 30_000_000_000L; !stop.get() && System.nanoTime() < calm; n++) {
                    moveOne(admin, topic, n % partitions);
                    Thread.sleep(50);
                }
                return n;
            }
        });
        try (AutoCloseable closed = r.path("share").asBoolean(false) ? shareBacklog(r, topic, group, got, count) : groupBacklog(r, topic, group, got, count)) {
            stop.set(true);
            Map<String, Object> answer = judged(got, count);
            answer.put("moves", moves.get(60, TimeUnit.SECONDS));
            thread.shutdown();
            return answer;
        }
    }

    static Consumer<byte[], byte[]> groupBacklog(JsonNode r, String topic, String group, List<Integer> got, int count) throws Exception {
        Consumer<byte[], byte[]> consumer = consumer(r, "group.id", group, "max.partition.fetch.bytes", 100000, "fetch.min.bytes", 200000);
        consumer.subscribe(List.of(topic));
        long deadline = System.nanoTime() + 120_000_000_000L;
        while (got.size() < count && System.nanoTime() < deadline) {
            for (ConsumerRecord<byte[], byte[]> one : consumer.poll(Duration.ofMillis(200))) got.add(numberOf(one.value()));
            Thread.sleep(20);
        }
        return consumer;
    }

    @SuppressWarnings("unchecked")
    static ShareConsumer<byte[], byte[]> shareBacklog(JsonNode r, String topic, String group, List<Integer> got, int count) throws Exception {
        ShareConsumer<byte[], byte[]> consumer = watched(ShareConsumer.class, new KafkaShareConsumer<>(config(r, "group.id", group, "max.poll.records", 40),
                new ByteArrayDeserializer(), new ByteArrayDeserializer()));
        consumer.subscribe(List.of(topic));
        long deadline = System.nanoTime() + 120_000_000_000L;
        while (new HashSet<>(got).size() < count && System.nanoTime() < deadline)
            for (ConsumerRecord<byte[], byte[]> one : consumer.poll(Duration.ofMillis(200))) got.add(numberOf(one.value()));
        return consumer;
    }

    static void shareFromTheBeginning(JsonNode r, String group) throws Exception {
        try (Admin admin = admin(r)) {
            var resource = new org.apache.kafka.common.config.ConfigResource(org.apache.kafka.common.config.ConfigResource.Type.GROUP, group);
            admin.incrementalAlterConfigs(Map.of(resource,
                    List.of(new AlterConfigOp(new ConfigEntry("share.auto.offset.reset", "earliest"), AlterConfigOp.OpType.SET)))).all()
                    .get(30, TimeUnit.SECONDS);
        }
    }

    static void moveOne(Admin admin, String topic, int partition) throws Exception {
        TopicPartitionInfo info = admin.describeTopics(List.of(topic)).allTopicNames().get(30, TimeUnit.SECONDS).get(topic).partitions().get(partition);
        List<Integer> replicas = new ArrayList<>();
        info.replicas().forEach(node -> replicas.add(node.id()));
        Collections.rotate(replicas, 1);
        TopicPartition one = new TopicPartition(topic, partition);
        admin.alterPartitionReassignments(Map.of(one, Optional.of(new NewPartitionReassignment(replicas)))).all().get(30, TimeUnit.SECONDS);
        admin.electLeaders(org.apache.kafka.common.ElectionType.PREFERRED, Set.of(one)).partitions().get(30, TimeUnit.SECONDS);
    }

    /** A topic that a consumer waits for and a producer writes to before anybody has made it. */
    static Map<String, Object> freshTopic(JsonNode r) throws Exception {
        String topic = fresh();
        try (Consumer<byte[], byte[]> consumer = consumer(r, "allow.auto.create.topics", true, "metadata.max.age.ms", 1000);
                Producer<byte[], byte[]> producer = producer(r, "max.in.flight.requests.per.connection", 1)) { // KAFKA-14359, see load()
            consumer.subscribe(List.of(topic));
            consumer.poll(Duration.ofMillis(200));
            produce(producer, topic, 0, 100, 50);
            return judged(consume(consumer, 100, 40), 100);
        }
    }

    /** How many groups are in a state. */
    static Map<String, Object> groups(JsonNode r) throws Exception {
        GroupState state = GroupState.parse(r.get("state").asText());
        try (Admin admin = admin(r)) {
            return Map.of("groups", get(admin.listGroups(new ListGroupsOptions().inGroupStates(Set.of(state))).all()).size());
        }
    }

    /** Another level of a feature of the whole cluster. */
    static Map<String, Object> feature(JsonNode r) throws Exception {
        String name = r.get("name").asText();
        short level = (short) r.get("level").asInt();
        try (Admin admin = admin(r)) {
            var type = r.path("down").asBoolean() ? FeatureUpdate.UpgradeType.SAFE_DOWNGRADE : FeatureUpdate.UpgradeType.UPGRADE;
            admin.updateFeatures(Map.of(name, new FeatureUpdate(level, type)), new UpdateFeaturesOptions()).all().get(30, TimeUnit.SECONDS);
            for (long deadline = System.nanoTime() + 20_000_000_000L; System.nanoTime() < deadline; Thread.sleep(100)) {
                var range = admin.describeFeatures().featureMetadata().get(30, TimeUnit.SECONDS).finalizedFeatures().get(name);
                if (range != null && range.maxVersionLevel() == level) return Map.of("level", level);
            }
        }
        throw new TimeoutException(name + " is not at " + level);
    }

    /** How much brokers say in one of their logs; without a level as much as before. */
    static Map<String, Object> logger(JsonNode r) throws Exception {
        AlterConfigOp.OpType type = r.has("level") ? AlterConfigOp.OpType.SET : AlterConfigOp.OpType.DELETE;
        List<AlterConfigOp> change = List.of(new AlterConfigOp(new ConfigEntry(r.get("name").asText(), r.path("level").asText()), type));
        try (Admin admin = admin(r)) {
            for (Node node : get(admin.describeCluster().nodes()))
                get(admin.incrementalAlterConfigs(Map.of(new org.apache.kafka.common.config.ConfigResource(org.apache.kafka.common.config.ConfigResource.Type.BROKER_LOGGER, node.idString()), change)).all());
        }
        return Map.of();
    }

    /** A broker that has gone and is not to be there any more. */
    static Map<String, Object> unregister(JsonNode r) throws Exception {
        try (Admin admin = admin(r)) {
            get(admin.unregisterBroker(number(r, "node", -1)).all());
        }
        return Map.of();
    }

    /** All that is in this process's memory, garbage included. */
    static Map<String, Object> heap(JsonNode r) throws Exception {
        java.lang.management.ManagementFactory.getPlatformMXBean(com.sun.management.HotSpotDiagnosticMXBean.class).dumpHeap(r.get("file").asText(), false);
        return Map.of();
    }

    // ---- everything an administrator can ask

    interface Step { Object go() throws Exception; }

    static <T> T get(org.apache.kafka.common.KafkaFuture<T> future) throws Exception { return future.get(30, TimeUnit.SECONDS); }

    /** Of many groups with long names, which need not be there, all asked for at once. */
    static Map<String, Object> coordinators(JsonNode r) throws Exception {
        Map<String, ListConsumerGroupOffsetsSpec> groups = new HashMap<>();
        for (int i = 0; i < number(r, "groups", 100); i++)
            groups.put((fresh() + "x".repeat(number(r, "length", 100))).substring(0, number(r, "length", 100) - 5) + i, new ListConsumerGroupOffsetsSpec());
        try (Admin admin = admin(r)) {
            return Map.of("asked", get(admin.listConsumerGroupOffsets(groups).all()).size());
        }
    }

    static Map<String, Object> tour(JsonNode r) throws Exception {
        String topic = fresh(), group = fresh();
        TopicPartition first = new TopicPartition(topic, 0);
        Map<String, String> steps = new LinkedHashMap<>();
        Set<String> nodes = new TreeSet<>();
        create(r, topic, 3);
        try (Producer<byte[], byte[]> producer = producer(r, "transactional.id", topic)) {
            producer.initTransactions();
            producer.beginTransaction();
            produce(producer, topic, 0, 100, 50);
            producer.commitTransaction();
        }
        try (Consumer<byte[], byte[]> consumer = consumer(r, "group.id", group)) {
            consumer.subscribe(List.of(topic));
            consume(consumer, 100, 30);
            consumer.commitSync();
            consumer.partitionsFor(topic).forEach(info -> nodes.add(show(info.leader())));
        }
        try (Admin admin = admin(r)) {
            Map<String, Step> all = new LinkedHashMap<>();
            all.put("describeCluster", () -> nodes.addAll(nodes(admin, topic, group)));
            all.put("describeCluster, fenced ones too", () -> {
                get(admin.describeCluster(new DescribeClusterOptions().includeFencedBrokers(true)).nodes()).forEach(node -> nodes.add(show(node)));
                return null;
            });
            all.put("listTopics", () -> get(admin.listTopics().names()));
            all.put("listGroups", () -> get(admin.listGroups().all()));
            all.put("describeTopics by id", () -> {
                var id = get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic).topicId();
                get(admin.describeTopics(org.apache.kafka.common.TopicCollection.ofTopicIds(List.of(id))).allTopicIds()).get(id).partitions()
                        .forEach(info -> nodes.add(show(info.leader())));
                return null;
            });
            all.put("listOffsets", () -> get(admin.listOffsets(Map.of(first, OffsetSpec.latest())).all()));
            all.put("listConsumerGroupOffsets", () -> get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata()));
            all.put("alterConsumerGroupOffsets", () -> get(admin.alterConsumerGroupOffsets(group, Map.of(first, new OffsetAndMetadata(0))).all()));
            all.put("deleteConsumerGroupOffsets", () -> get(admin.deleteConsumerGroupOffsets(group, Set.of(first)).all()));
            all.put("deleteConsumerGroups", () -> get(admin.deleteConsumerGroups(List.of(group)).all()));
            all.put("describeLogDirs", () -> get(admin.describeLogDirs(List.of(1, 2, 3)).allDescriptions()));
            all.put("describeProducers", () -> get(admin.describeProducers(List.of(first)).all()));
            all.put("listTransactions", () -> get(admin.listTransactions().all()));
            all.put("describeTransactions", () -> get(admin.describeTransactions(List.of(topic)).all()));
            all.put("fenceProducers", () -> get(admin.fenceProducers(List.of(topic)).all()));
            all.put("describeFeatures", () -> get(admin.describeFeatures().featureMetadata()));
            all.put("describeMetadataQuorum", () -> {
                get(admin.describeMetadataQuorum().quorumInfo()).nodes().values()
                        .forEach(node -> node.endpoints().forEach(e -> KNOWN.add("controller " + e.host() + ":" + e.port())));
                return null;
            });
            var resource = new org.apache.kafka.common.config.ConfigResource(org.apache.kafka.common.config.ConfigResource.Type.TOPIC, topic);
            all.put("describeConfigs", () -> get(admin.describeConfigs(List.of(resource)).all()));
            all.put("incrementalAlterConfigs", () -> get(admin.incrementalAlterConfigs(Map.of(resource,
                    List.of(new AlterConfigOp(new ConfigEntry("retention.ms", "3600000"), AlterConfigOp.OpType.SET)))).all()));
            all.put("listConfigResources", () -> get(admin.listConfigResources().all()));
            all.put("createPartitions", () -> get(admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(4))).all()));
            all.put("deleteRecords", () -> get(admin.deleteRecords(Map.of(first, RecordsToDelete.beforeOffset(1))).all()));
            all.put("listPartitionReassignments", () -> get(admin.listPartitionReassignments().reassignments()));
            all.put("move", () -> moveOnce(topic, r));
            all.put("describeUserScramCredentials", () -> get(admin.describeUserScramCredentials().all()));
            all.put("describeClientQuotas", () -> get(admin.describeClientQuotas(org.apache.kafka.common.quota.ClientQuotaFilter.all()).entities()));
            all.put("deleteTopics", () -> get(admin.deleteTopics(List.of(topic)).all()));
            all.forEach((name, step) -> {
                try {
                    step.go();
                } catch (Exception error) {
                    steps.put(name, String.valueOf(error.getCause() == null ? error : error.getCause()));
                }
            });
            return Map.of("nodes", nodes, "failed", steps, "steps", all.size());
        }
    }
}
