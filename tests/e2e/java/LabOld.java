// Java clients of any generation, 0.10.2 to 3.9, by what all of them have: produces, consumes in a group, says whom it knows.
//
//   LabOld SERVERS TOPIC COUNT [KEY=VALUE...]    ->  {"ok": true, "version": "2.8.2", "missing": 0, "twice": 0, "known": ["..."]}

import java.nio.charset.StandardCharsets;
import java.util.*;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

public class LabOld {
    static final Set<String> KNOWN = new TreeSet<>();

    static Properties config(String[] arguments, String... more) {
        Properties config = new Properties();
        config.put("bootstrap.servers", arguments[0]);
        for (int i = 3; i < arguments.length; i++) config.put(arguments[i].split("=", 2)[0], arguments[i].split("=", 2)[1]);
        for (int i = 0; i < more.length; i += 2) config.put(more[i], more[i + 1]);
        return config;
    }

    static void produce(String[] arguments, int count) throws Exception {
        try (KafkaProducer<byte[], byte[]> producer =
                new KafkaProducer<>(config(arguments, "acks", "all", "retries", "10"), new ByteArraySerializer(), new ByteArraySerializer())) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < count; i++)
                sent.add(producer.send(new ProducerRecord<>(arguments[1], ("k" + i).getBytes(StandardCharsets.US_ASCII), ("" + i).getBytes(StandardCharsets.US_ASCII))));
            for (Future<RecordMetadata> one : sent) one.get(60, TimeUnit.SECONDS);
            for (PartitionInfo info : producer.partitionsFor(arguments[1])) KNOWN.add(info.leader().host() + ":" + info.leader().port());
            KNOWN.addAll(Known.of(producer));
        }
    }

    static List<Integer> consume(String[] arguments, int count) {
        List<Integer> got = new ArrayList<>();
        try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(config(arguments, "group.id", "old-" + UUID.randomUUID(), "auto.offset.reset", "earliest"),
                new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(Collections.singletonList(arguments[1]));
            long deadline = System.nanoTime() + 40_000_000_000L;
            while (got.size() < count && System.nanoTime() < deadline)
                for (ConsumerRecord<byte[], byte[]> one : consumer.poll(200)) got.add(Integer.parseInt(new String(one.value(), StandardCharsets.US_ASCII)));
            consumer.commitSync();
            KNOWN.addAll(Known.of(consumer));
        }
        return got;
    }

    public static void main(String[] arguments) throws Exception {
        int count = Integer.parseInt(arguments[2]);
        produce(arguments, count);
        List<Integer> got = consume(arguments, count);
        Set<Integer> different = new HashSet<>(got);
        StringBuilder known = new StringBuilder();
        for (String one : KNOWN) known.append(known.length() > 0 ? ", " : "").append('"').append(one).append('"');
        System.out.printf("{\"ok\": true, \"version\": \"%s\", \"missing\": %d, \"twice\": %d, \"known\": [%s]}%n", AppInfoParser.getVersion(),
                count - different.size(), got.size() - different.size(), known);
    }
}
