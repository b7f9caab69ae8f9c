// Loads that go on while leaders move, a broker dies and penstock restarts, with an account of each record: a transactional producer, a share
// group. That of Streams is in LabStreams. The test says when the trouble is over, and sees meanwhile that they get on.

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListShareGroupOffsetsSpec;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicIdPartition;
import org.apache.kafka.common.serialization.*;

public class LabTrouble {
    static final int PARTITIONS = 6;

    /** Until the file `until` is there; how far the load has got stands in the file `progress`. Then there are minutes for what is left. */
    static class Course {
        private final Path until, progress;
        private long deadline; // a test that died makes no file
        private boolean isOver = false;

        Course(JsonNode r) {
            until = Path.of(r.get("until").asText());
            progress = Path.of(r.get("progress").asText());
            deadline = in(900);
        }

        boolean goesOn(int done) throws IOException {
            Files.writeString(progress, done + "\n");
            if (!isOver && (Files.exists(until) || System.nanoTime() > deadline)) {
                isOver = true;
                deadline = in(180);
            }
            return !isOver;
        }

        boolean hasTime() { return System.nanoTime() < deadline; }
    }

    static long in(int seconds) { return System.nanoTime() + seconds * 1_000_000_000L; }

    static <T> List<T> some(List<T> list) { return new ArrayList<>(list.subList(0, Math.min(5, list.size()))); }

    // ---- transactions

    /** A transactional producer, and what became of its records. Where it cannot go on it begins anew with the same id, which ends what was open. */
    static class Writer implements AutoCloseable {
        final Set<Integer> committed = new HashSet<>(), aborted = new HashSet<>();
        final List<List<Integer>> doubt = new ArrayList<>(); // commits without an answer: all of it or nothing
        final List<String> errors = new ArrayList<>();
        int commits = 0, renewed = 0;
        private final JsonNode r;
        private final String topic;
        private KafkaProducer<byte[], byte[]> bare;
        private Producer<byte[], byte[]> producer;

        Writer(JsonNode r, String topic) {
            this.r = r;
            this.topic = topic;
        }

        @SuppressWarnings("unchecked")
        private void open() {
            Map<String, Object> config = LabKafka.config(r, "transactional.id", r.get("id").asText(), "request.timeout.ms", 5000, "delivery.timeout.ms",
                    120000, "max.block.ms", 120000);
            bare = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
            producer = LabKafka.watched(Producer.class, bare);
            producer.initTransactions();
        }

        boolean isV2() throws ReflectiveOperationException { return LabKafka.isV2(bare); }

        /** One transaction. Records that are to be aborted are in the log before; `slow`: see LabKafka.Source. */
        void write(List<Integer> numbers, boolean abort, boolean slow) throws Exception {
            boolean committing = false;
            try {
                if (producer == null) open();
                producer.beginTransaction();
                List<Future<RecordMetadata>> sent = new ArrayList<>();
                for (int n : numbers) {
                    sent.add(producer.send(new ProducerRecord<>(topic, n % PARTITIONS, null, LabKafka.message(n, 200))));
                    if (slow) producer.flush();
                }
                if (abort) {
                    for (Future<RecordMetadata> one : sent) one.get(120, TimeUnit.SECONDS);
                    producer.abortTransaction();
                    aborted.addAll(numbers);
                    return;
                }
                committing = true;
                producer.commitTransaction();
                committed.addAll(numbers);
                commits++;
            } catch (RuntimeException | ExecutionException | java.util.concurrent.TimeoutException error) {
                errors.add(error.toString());
                giveUp(numbers, committing);
            }
        }

        private void giveUp(List<Integer> numbers, boolean committing) {
            try {
                producer.abortTransaction(); // which is refused when a commit is under way
                aborted.addAll(numbers);
            } catch (RuntimeException error) {
                errors.add(error.toString());
                renewed++;
                if (committing) doubt.add(numbers); else aborted.addAll(numbers);
                close();
            }
        }

        @Override
        public void close() {
            if (producer != null) producer.close(Duration.ofSeconds(10));
            producer = null;
        }
    }

    /** One transaction after another, each with records for all partitions, every third of them aborted, and a group that reads what is
     *  committed. The last one is committed: who has read it could have read all those before. */
    static Map<String, Object> transactions(JsonNode r) throws Exception {
        String topic = r.get("topic").asText();
        Course course = new Course(r);
        Set<Integer> got = new HashSet<>();
        try (Writer writer = new Writer(r, topic); Consumer<byte[], byte[]> consumer = LabKafka.consumer(r)) {
            consumer.subscribe(List.of(topic));
            boolean goesOn, isV2 = false;
            int turn = 0, before;
            do {
                goesOn = course.goesOn(writer.commits);
                before = writer.commits;
                List<Integer> numbers = new ArrayList<>();
                for (int i = 0; i < 2 * PARTITIONS; i++) numbers.add(turn * 2 * PARTITIONS + i); // two for each
                writer.write(numbers, goesOn && turn % 3 == 2, turn == 0);
                if (turn++ == 0) isV2 = writer.isV2();
                consumer.poll(Duration.ofMillis(10)).forEach(one -> got.add(LabKafka.numberOf(one.value())));
            } while (goesOn || (writer.commits == before && course.hasTime()));
            while (!got.containsAll(writer.committed) && course.hasTime())
                consumer.poll(Duration.ofMillis(200)).forEach(one -> got.add(LabKafka.numberOf(one.value())));
            return account(writer, got, new LabKafka.Stored(r, topic), isV2, writer.isV2());
        }
    }

    static Map<String, Object> account(Writer writer, Set<Integer> got, LabKafka.Stored stored, boolean... isV2) {
        Map<String, Object> answer = stored.judged(writer.committed);
        Set<Integer> in = stored.times.keySet();
        answer.put("v2", isV2[0] && isV2[1]);
        answer.put("v1", !isV2[0] && !isV2[1]);
        answer.put("commits", writer.commits);
        answer.put("committed", writer.committed.size());
        answer.put("aborted", writer.aborted.size());
        answer.put("doubt", writer.doubt.size());
        answer.put("renewed", writer.renewed);
        answer.put("errors", some(writer.errors));
        answer.put("lost", writer.committed.stream().filter(n -> !got.contains(n)).count());
        answer.put("undead", writer.aborted.stream().filter(n -> in.contains(n) || got.contains(n)).count());
        answer.put("torn", writer.doubt.stream().filter(one -> one.stream().anyMatch(in::contains) && !in.containsAll(one)).count());
        answer.put("strange", in.stream().filter(n -> !writer.committed.contains(n) && writer.doubt.stream().noneMatch(one -> one.contains(n))).count());
        return answer;
    }

    /** The broker that looks after the transactions of an id. */
    static Map<String, Object> coordinator(JsonNode r) throws Exception {
        String id = r.get("id").asText();
        try (Admin admin = LabKafka.admin(r)) {
            return Map.of("coordinator", LabKafka.get(admin.describeTransactions(List.of(id)).all()).get(id).coordinatorId());
        }
    }

    // ---- share groups

    /** What members of a share group were given, and what they have accepted with the broker's consent. Where that is refused, or the answer
     *  was lost, a record may have been accepted, or comes again. */
    static class Shared {
        final Set<Integer> got = ConcurrentHashMap.newKeySet(), accepted = ConcurrentHashMap.newKeySet();
        final AtomicInteger deliveries = new AtomicInteger(), refused = new AtomicInteger(), again = new AtomicInteger();

        @SuppressWarnings("unchecked")
        void member(JsonNode r, String topic, String group, AtomicBoolean stop) throws Exception {
            Map<String, Object> config = LabKafka.config(r, "group.id", group, "share.acknowledgement.mode", "explicit", "max.poll.records", 100);
            try (ShareConsumer<byte[], byte[]> consumer = LabKafka.watched(ShareConsumer.class,
                    new KafkaShareConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer()))) {
                consumer.subscribe(List.of(topic));
                while (!stop.get()) turn(consumer);
            }
        }

        private void turn(ShareConsumer<byte[], byte[]> consumer) {
            Map<Integer, List<Integer>> taken = new HashMap<>();
            for (ConsumerRecord<byte[], byte[]> one : consumer.poll(Duration.ofMillis(100))) {
                int number = LabKafka.numberOf(one.value());
                deliveries.incrementAndGet();
                got.add(number);
                if (accepted.contains(number)) again.incrementAndGet();
                taken.computeIfAbsent(one.partition(), p -> new ArrayList<>()).add(number);
                consumer.acknowledge(one, AcknowledgeType.ACCEPT);
            }
            for (Map.Entry<TopicIdPartition, Optional<KafkaException>> one : consumer.commitSync().entrySet()) {
                List<Integer> numbers = taken.getOrDefault(one.getKey().partition(), List.of());
                if (one.getValue().isEmpty()) accepted.addAll(numbers); else refused.addAndGet(numbers.size());
            }
        }
    }

    /** How many records a group has still to accept, as brokers have it. */
    static long left(Admin admin, String group) throws Exception {
        var offsets = LabKafka.get(admin.listShareGroupOffsets(Map.of(group, new ListShareGroupOffsetsSpec())).partitionsToOffsetInfo(group));
        return PARTITIONS - offsets.size() + offsets.values().stream().mapToLong(one -> one.lag().orElse(1L)).sum();
    }

    /** Two members. A record may come again, but not when its acceptance was confirmed; in the end nothing is left. */
    static Map<String, Object> share(JsonNode r) throws Exception {
        String topic = r.get("topic").asText(), group = LabKafka.fresh();
        Course course = new Course(r);
        Shared shared = new Shared();
        AtomicBoolean stop = new AtomicBoolean();
        LabKafka.shareFromTheBeginning(r, group);
        ExecutorService threads = Executors.newFixedThreadPool(2);
        List<Future<?>> members = new ArrayList<>();
        for (int i = 0; i < 2; i++)
            members.add(threads.submit(() -> {
                shared.member(r, topic, group, stop);
                return null;
            }));
        try (LabKafka.Source source = new LabKafka.Source(r, topic, n -> LabKafka.message(n, 200)); Admin admin = LabKafka.admin(r)) {
            while (course.goesOn(shared.accepted.size()) && members.stream().noneMatch(Future::isDone)) {
                source.send(5);
                Thread.sleep(50);
            }
            source.flush();
            long left; // some may be locked for 30 s by a member that was not heard
            while ((left = left(admin, group)) > 0 && members.stream().noneMatch(Future::isDone) && course.hasTime()) Thread.sleep(300);
            stop.set(true);
            for (Future<?> one : members) one.get(90, TimeUnit.SECONDS);
            Map<String, Object> answer = new LabKafka.Stored(r, topic).judged(source.acked);
            answer.putAll(source.judged());
            answer.put("lost", source.acked.stream().filter(n -> !shared.got.contains(n)).count());
            answer.put("left", left);
            answer.put("again", shared.again.get());
            answer.put("redelivered", shared.deliveries.get() - shared.got.size());
            answer.put("refused", shared.refused.get());
            return answer;
        } finally {
            stop.set(true);
            threads.shutdown();
        }
    }
}
