// Kafka Streams as one more case of LabKafka: words are counted exactly once, by a topology with a table, a changelog and a repartition topic.

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.producer.Producer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.*;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler;
import org.apache.kafka.streams.kstream.*;
import org.apache.kafka.streams.state.Stores;

public class LabStreams {
    static final int WORDS = 10, LINES = 500;

    static Topology counting(String in, String out) {
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream(in, Consumed.with(Serdes.ByteArray(), Serdes.String())).flatMapValues(line -> List.of(line.split(" ")))
                .groupBy((key, word) -> word, Grouped.with("by-word", Serdes.String(), Serdes.String()))
                .count(Materialized.<String, Long>as(Stores.inMemoryKeyValueStore("counts")).withKeySerde(Serdes.String()).withValueSerde(Serdes.Long()))
                .toStream().to(out, Produced.with(Serdes.String(), Serdes.Long()));
        return builder.build();
    }

    static byte[] line(int number) {
        return ("word-" + number % WORDS + " word-" + (number + 1) % WORDS).getBytes(StandardCharsets.US_ASCII);
    }

    static Properties config(JsonNode r, String application) throws Exception {
        Properties config = new Properties();
        config.putAll(LabKafka.config(r, "application.id", application, "processing.guarantee", "exactly_once_v2", "commit.interval.ms", 200,
                "group.protocol", LabKafka.text(r, "streams_protocol", "classic"), "num.stream.threads", 2, "replication.factor", 3,
                "state.dir", Files.createTempDirectory("lab-streams").toString()));
        return config;
    }

    static Map<String, Object> count(JsonNode r) throws Exception {
        String in = LabKafka.fresh(), out = LabKafka.fresh();
        LabKafka.create(r, in, 3);
        LabKafka.create(r, out, 3);
        Map<String, Long> counts = new TreeMap<>();
        try (KafkaStreams streams = new KafkaStreams(counting(in, out), config(r, LabKafka.fresh()));
                Producer<byte[], byte[]> producer = LabKafka.producer(r);
                Consumer<byte[], byte[]> consumer = LabKafka.consumer(r)) {
            streams.start();
            for (int i = 0; i < LINES; i++) producer.send(new ProducerRecord<>(in, line(i)));
            producer.flush();
            consumer.subscribe(List.of(out));
            long deadline = System.nanoTime() + 60_000_000_000L;
            while (counts.values().stream().mapToLong(n -> n).sum() < 2L * LINES && System.nanoTime() < deadline)
                for (ConsumerRecord<byte[], byte[]> one : consumer.poll(Duration.ofMillis(200)))
                    counts.put(new String(one.key(), StandardCharsets.US_ASCII), Serdes.Long().deserializer().deserialize(out, one.value()));
            LabKafka.KNOWN.addAll(Known.of(streams));
        }
        return Map.of("counts", counts, "expected", 2L * LINES / WORDS);
    }

    /** Until the trouble is over: each word's counts are then 1, 2, 3, ... in what came out, each of them once. */
    static Map<String, Object> trouble(JsonNode r) throws Exception {
        String in = r.get("topic").asText(), out = r.get("out").asText();
        LabTrouble.Course course = new LabTrouble.Course(r);
        List<String> replaced = new CopyOnWriteArrayList<>();
        Properties config = config(r, r.get("application").asText());
        config.put("statestore.cache.max.bytes", 0); // every count comes out
        config.put("commit.interval.ms", 500);
        int came = 0;
        Map<String, Object> answer = new HashMap<>();
        try (KafkaStreams streams = new KafkaStreams(counting(in, out), config);
                LabKafka.Source source = new LabKafka.Source(r, in, LabStreams::line);
                Consumer<byte[], byte[]> consumer = LabKafka.reader(r, out)) {
            streams.setUncaughtExceptionHandler(error -> {
                replaced.add(error.toString());
                return StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse.REPLACE_THREAD;
            });
            streams.start();
            while (course.goesOn(came)) {
                source.send(3);
                came += consumer.poll(Duration.ofMillis(30)).count();
                Thread.sleep(50);
            }
            source.flush();
            while (came < 2 * source.sent && course.hasTime()) came += consumer.poll(Duration.ofMillis(200)).count();
            LabKafka.KNOWN.addAll(Known.of(streams));
            answer.putAll(source.judged());
        }
        Map<String, List<Long>> counts = new TreeMap<>();
        LabKafka.read(r, out, one -> counts.computeIfAbsent(new String(one.key(), StandardCharsets.US_ASCII), word -> new ArrayList<>())
                .add(Serdes.Long().deserializer().deserialize(out, one.value())));
        answer.put("replaced", LabTrouble.some(replaced));
        answer.put("wrong", LabTrouble.some(wrong(counts, (int) answer.get("sent"))));
        answer.put("counts", counts.values().stream().mapToInt(List::size).sum());
        return answer;
    }

    /** What is not 1, 2, 3, ... as often as that word was sent. */
    static List<String> wrong(Map<String, List<Long>> counts, int lines) {
        Map<String, Long> wanted = new TreeMap<>();
        for (int i = 0; i < lines; i++)
            for (String word : new String(line(i), StandardCharsets.US_ASCII).split(" ")) wanted.merge(word, 1L, Long::sum);
        List<String> wrong = new ArrayList<>();
        wanted.forEach((word, count) -> {
            List<Long> said = counts.getOrDefault(word, List.of());
            if (said.size() != count) wrong.add(word + " came " + said.size() + " times, not " + count);
            for (int i = 0; i < said.size() && wrong.size() < 5; i++)
                if (said.get(i) != i + 1) wrong.add(word + ": " + said.get(i) + " instead of " + (i + 1));
        });
        return wrong;
    }

    public static void main(String[] arguments) throws Exception {
        LabKafka.CASES.put("streams", LabStreams::count);
        LabKafka.CASES.put("streams in trouble", LabStreams::trouble);
        LabKafka.main(arguments);
    }
}
