// Which fields of Kafka's responses may hold an address, by the schemas in the client's own jar, and frames that have one in every
// such field (see test_53_kafka_fields.py). Built on tests/vectors/kafka/KafkaVectors.java.
//
//   make [SIZE]   prints   kafka VERSION
//                          api KEY NAME OLDEST NEWEST
//                          field KEY NAME PATH TYPE SINCE UNTIL         of a response, by the names below
//                          said KEY NAME PATH TYPE SINCE UNTIL          the same of requests
//                          frame KEY VERSION REQUEST RESPONSE           in hexadecimal; SIZE: of records, in bytes
//                          versions REQUEST RESPONSE AHEAD              ApiVersions: all there is; the same, each one version newer
//   read          reads    KEY VERSION RESPONSE     and prints   left KEY VERSION PATH   for each field that holds the address still
//                          versions RESPONSE        and prints   offered KEY NEWEST

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.*;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.types.*;

public class LabFields {
    /** A net with narrow meshes: what it catches for nothing is given a reason in the test. */
    static final List<String> WORDS = List.of("host", "addr", "endpoint", "url", "uri", "listener", "rack", "server", "bootstrap", "location", "domain");
    static final String ADDRESS = "leak-1.kafka.test";
    static final int PORT = 31007;
    static int recordsSize = 40;

    static boolean isSuspect(String path, Type type) {
        String name = path.substring(path.lastIndexOf('.') + 1), kind = type.toString();
        if (kind.endsWith("STRING")) return WORDS.stream().anyMatch(path::contains);
        return kind.matches("U?INT(16|32)") && (name.equals("port") || name.endsWith("_port") || name.startsWith("port_"));
    }

    static String below(String path, String name) { return path.isEmpty() ? name : path + "." + name; }

    // ---- filling

    static Struct struct(Schema schema, String path) {
        Struct struct = new Struct(schema);
        for (BoundField field : schema.fields())
            struct.set(field, value(field.def.type, field.def.type instanceof TaggedFields ? path : below(path, field.def.name)));
        return struct;
    }

    /** Nothing is null, every array has one entry, every tagged field is there. */
    static Object value(Type type, String path) {
        if (type instanceof Schema) return struct((Schema) type, path);
        if (type instanceof TaggedFields) {
            NavigableMap<Integer, Object> values = new TreeMap<>();
            KafkaVectors.fieldsOf((TaggedFields) type).forEach((tag, field) -> values.put(tag, value(field.type, below(path, field.name))));
            return values;
        }
        if (type.isArray()) return new Object[] {value(type.arrayElementType().get(), path)};
        String kind = type.toString();
        boolean suspect = isSuspect(path, type);
        if (kind.endsWith("STRING")) return suspect ? ADDRESS : "s";
        if (kind.endsWith("RECORDS")) return KafkaVectors.records(ByteBuffer.wrap(new byte[recordsSize]));
        if (kind.endsWith("BYTES")) return ByteBuffer.wrap(new byte[] {1, 2, 3});
        switch (kind) {
        case "BOOLEAN": return true;
        case "INT8": return (byte) 1;
        case "INT16": return (short) (suspect ? PORT : 1);
        case "UINT16": return suspect ? PORT : 1;
        case "INT32": return suspect ? PORT : 1;
        case "UINT32": return 1L;
        case "INT64": return 1L;
        case "FLOAT64": return 1.0;
        case "UUID": return new Uuid(1, 1);
        default: throw new IllegalStateException("what is a " + kind + "?");
        }
    }

    interface Visitor { void see(String path, Type type); }

    static void fields(Type type, String path, Visitor visitor) {
        if (type instanceof Schema)
            for (BoundField field : ((Schema) type).fields())
                fields(field.def.type, field.def.type instanceof TaggedFields ? path : below(path, field.def.name), visitor);
        else if (type instanceof TaggedFields)
            KafkaVectors.fieldsOf((TaggedFields) type).forEach((tag, field) -> fields(field.type, below(path, field.name), visitor));
        else if (type.isArray())
            fields(type.arrayElementType().get(), path, visitor);
        else
            visitor.see(path, type);
    }

    // ---- make

    static void printFields(String word, ApiMessageType api, Schema[] schemas) {
        Map<String, int[]> since = new TreeMap<>();
        for (int version = api.lowestSupportedVersion(); version <= api.highestSupportedVersion(true); version++) {
            int now = version;
            fields(schemas[version], "", (path, type) -> {
                String kind = type.toString().replaceAll("COMPACT_|NULLABLE_", "");
                if (isSuspect(path, type)) since.computeIfAbsent(path + " " + kind, p -> new int[] {now, now})[1] = now;
            });
        }
        since.forEach((field, range) -> System.out.printf("%s %d %s %s %d %d%n", word, api.apiKey(), api.name, field, range[0], range[1]));
    }

    static String request(ApiMessageType api, short version) {
        byte[] bare = HexFormat.of().parseHex(KafkaVectors.request(api, version, null).split(" ")[1]); // size, header, three bytes
        return KafkaVectors.hex(ByteBuffer.wrap(bare, 4, bare.length - 7).slice(), KafkaVectors.write(struct(api.requestSchemas()[version], "")));
    }

    static String response(ApiMessageType api, short version) {
        short headerVersion = api.responseHeaderVersion(version);
        return KafkaVectors.hex(KafkaVectors.write(struct(ResponseHeaderData.SCHEMAS[headerVersion], "")),
                KafkaVectors.write(struct(api.responseSchemas()[version], "")));
    }

    /** ApiVersions v3: every call there is, up to its newest version and `ahead` further. */
    static String versions(int ahead) {
        Schema schema = ApiMessageType.API_VERSIONS.responseSchemas()[3];
        Schema entry = (Schema) schema.get("api_keys").def.type.arrayElementType().get();
        List<Struct> entries = new ArrayList<>();
        for (ApiMessageType api : ApiMessageType.values())
            if (api.highestSupportedVersion(true) >= api.lowestSupportedVersion())
                entries.add(struct(entry, "").set("api_key", api.apiKey()).set("min_version", api.lowestSupportedVersion())
                        .set("max_version", (short) (api.highestSupportedVersion(true) + ahead)));
        Struct body = struct(schema, "").set("error_code", (short) 0).set("api_keys", entries.toArray());
        return KafkaVectors.hex(KafkaVectors.write(struct(ResponseHeaderData.SCHEMAS[0], "")), KafkaVectors.write(body));
    }

    static void make() throws Exception {
        Properties about = new Properties();
        about.load(ApiMessageType.class.getResourceAsStream("/kafka/kafka-version.properties"));
        System.out.println("kafka " + about.getProperty("version"));
        for (ApiMessageType api : ApiMessageType.values()) {
            short oldest = api.lowestSupportedVersion(), newest = api.highestSupportedVersion(true);
            if (newest < oldest) continue;
            System.out.printf("api %d %s %d %d%n", api.apiKey(), api.name, oldest, newest);
            printFields("field", api, api.responseSchemas());
            printFields("said", api, api.requestSchemas());
            for (short version = oldest; version <= newest; version++)
                System.out.printf("frame %d %d %s %s%n", api.apiKey(), version, request(api, version), response(api, version));
        }
        System.out.printf("versions %s %s %s%n", request(ApiMessageType.API_VERSIONS, (short) 3), versions(0), versions(1));
    }

    // ---- read

    static void left(Object value, Type type, String path, Set<String> found) {
        if (value == null) return;
        if (type instanceof Schema) {
            for (BoundField field : ((Schema) type).fields())
                left(((Struct) value).get(field), field.def.type, field.def.type instanceof TaggedFields ? path : below(path, field.def.name), found);
        } else if (type instanceof TaggedFields) {
            Map<Integer, Field> known = KafkaVectors.fieldsOf((TaggedFields) type);
            ((Map<?, ?>) value).forEach((tag, one) -> {
                Field field = known.get(tag);
                if (field != null) left(one, field.type, below(path, field.name), found);
                else if (new String(((RawTaggedField) one).data()).contains(ADDRESS)) found.add(below(path, "tag-" + tag));
            });
        } else if (type.isArray()) {
            for (Object one : (Object[]) value) left(one, type.arrayElementType().get(), path, found);
        } else if (value.equals(ADDRESS) || isSuspect(path, type) && ((Number) (value instanceof Number ? value : 0)).intValue() == PORT) {
            found.add(path);
        }
    }

    static Struct body(ApiMessageType api, short version, String hex) {
        ByteBuffer frame = ByteBuffer.wrap(HexFormat.of().parseHex(hex));
        if (frame.getInt() != frame.remaining()) throw new IllegalStateException(api.name + " v" + version + ": size field");
        ResponseHeaderData.SCHEMAS[api.responseHeaderVersion(version)].read(frame);
        Struct body = api.responseSchemas()[version].read(frame);
        if (frame.hasRemaining()) throw new IllegalStateException(api.name + " v" + version + ": " + frame.remaining() + " bytes more");
        return body;
    }

    static void read() throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = in.readLine()) != null;) {
            String[] words = line.split(" ");
            if (words[0].equals("versions")) {
                for (Object one : body(ApiMessageType.API_VERSIONS, (short) 3, words[1]).getArray("api_keys"))
                    System.out.printf("offered %d %d%n", ((Struct) one).getShort("api_key"), ((Struct) one).getShort("max_version"));
                continue;
            }
            ApiMessageType api = ApiMessageType.fromApiKey(Short.parseShort(words[0]));
            short version = Short.parseShort(words[1]);
            Set<String> found = new TreeSet<>();
            left(body(api, version, words[2]), api.responseSchemas()[version], "", found);
            for (String path : found) System.out.printf("left %s %s %s%n", words[0], words[1], path);
        }
    }

    public static void main(String[] arguments) throws Exception {
        if (arguments.length > 1) recordsSize = Integer.parseInt(arguments[1]);
        if (arguments[0].equals("make")) make(); else read();
    }
}
