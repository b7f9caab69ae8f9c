// Prints what the Kafka client of the class path knows of its protocol, one fact a line, and frames
// it encodes; README.md has the format. Every message is filled through the client's schemas, read
// into its generated classes and written again by these, which must give the same bytes.
//
//   java -cp kafka-clients.jar:slf4j-api.jar KafkaVectors.java          print
//   java -cp kafka-clients.jar:slf4j-api.jar KafkaVectors.java check    read frames the other way round

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.DescribeAclsRequestData;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.RawTaggedField;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.Struct;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.requests.AbstractRequest;
import org.apache.kafka.common.requests.RequestAndSize;

public class KafkaVectors {
	enum Shape { EMPTY, ONE, MANY, TAGS, NOBODY, CONTROLLERS }

	static final Set<String> ID_FIELDS = Set.of("node_id", "broker_id", "leader_id", "voter_id");
	static final Set<String> NODE_ARRAYS = Set.of("brokers", "coordinators", "nodes", "node_endpoints");
	static final Set<String> REWRITTEN = Set.of("Produce", "Fetch", "Metadata", "FindCoordinator", "DescribeQuorum",
			"DescribeCluster", "ShareFetch", "ShareAcknowledge");
	static final Set<String> ADDRESS_WORDS = Set.of("host", "hostname", "port", "endpoint", "endpoints",
			"listener", "listeners", "address", "addresses", "url", "uri");

	// ---- names ------------------------------------------------------------------------------------

	static String realHost(int id) {
		return id % 2 == 1 ? "b" + id + ".in" : "broker-" + id + ".rack-a.internal.example";
	}

	static String name(boolean isController, int id) {
		return (isController ? "controller-" : "kafka-") + id + ".example.com";
	}

	// ---- filling a message ------------------------------------------------------------------------

	static class Filler {
		final Shape shape;
		final boolean isMapped;
		final Random random;
		boolean isController;
		int nextNode = 0;

		Filler(Shape shape, boolean isMapped, long seed) {
			this.shape = shape;
			this.isMapped = isMapped;
			this.random = new Random(seed);
		}

		Struct struct(Schema schema, int node) {
			Struct struct = new Struct(schema);
			int id = hasId(schema) ? nextNode++ : node;
			for (BoundField field : schema.fields())
				struct.set(field, value(field.def.name, field.def.type, hasAddress(schema), id));
			return struct;
		}

		static boolean hasId(Schema schema) {
			return Arrays.stream(schema.fields()).anyMatch(f -> ID_FIELDS.contains(f.def.name));
		}

		Object value(String name, Type type, boolean isAddress, int id) {
			boolean isNobody = shape == Shape.NOBODY;
			if (ID_FIELDS.contains(name))
				return isNobody ? -1 : id;
			if (isAddress && name.equals("host") && !type.isNullable())
				return isNobody ? "" : isMapped ? KafkaVectors.name(isController, id) : realHost(id);
			if (isAddress && name.equals("port"))
				return isNobody ? -1 : isMapped ? 9100 + id : 9092;
			if (name.equals("endpoint_type"))
				return (byte) (isController ? 2 : 1);
			if (type instanceof Schema)
				return struct((Schema) type, id);
			if (type instanceof TaggedFields)
				return tags((TaggedFields) type, id);
			if (type.isArray())
				return array(name, type, id);
			if (type.isNullable() && (shape == Shape.EMPTY || random.nextInt(3) == 0))
				return null;
			return leaf(type, id);
		}

		Object[] array(String name, Type type, int id) {
			if (shape == Shape.EMPTY)
				return type.isNullable() ? null : new Object[0];
			boolean isNodes = NODE_ARRAYS.contains(name);
			Object[] entries = new Object[shape != Shape.MANY ? 1 : isNodes ? 4 : 1 + random.nextInt(2)];
			for (int i = 0; i < entries.length; i++)
				entries[i] = value("", type.arrayElementType().get(), false, id);
			return entries;
		}

		Map<Integer, Object> tags(TaggedFields type, int id) {
			TreeMap<Integer, Object> values = new TreeMap<>();
			if (shape == Shape.EMPTY)
				return values;
			fieldsOf(type).forEach((number, field) -> {
				// Fields of any tag may be left out.
				if (shape != Shape.MANY || field.name.equals("node_endpoints") || random.nextBoolean())
					values.put(number, value(field.name, field.type, false, id));
			});
			if (shape == Shape.TAGS)
				for (int number : new int[] { 100, 70000 })
					values.put(number, new RawTaggedField(number, bytes(random.nextInt(40))));
			return values;
		}

		byte[] bytes(int length) {
			byte[] bytes = new byte[length];
			random.nextBytes(bytes);
			return bytes;
		}

		Object leaf(Type type, int id) {
			String name = type.toString();
			if (name.endsWith("STRING"))
				return "s".repeat(new int[] { 0, 3, 130 }[random.nextInt(3)]);
			if (name.endsWith("RECORDS"))
				return records(ByteBuffer.wrap(bytes(random.nextInt(200))));
			if (name.endsWith("BYTES"))
				return ByteBuffer.wrap(bytes(random.nextInt(20)));
			switch (name) {
			case "BOOLEAN": return true; // false is the default: as a tagged field it would be left out
			case "INT8": return (byte) random.nextInt();
			case "INT16": return (short) random.nextInt(100);
			case "UINT16": return random.nextInt(65536);
			case "INT32": return random.nextInt();
			case "UINT32": return (long) random.nextInt(Integer.MAX_VALUE);
			case "INT64": return random.nextLong();
			case "FLOAT64": return random.nextDouble();
			case "UUID": return new Uuid(random.nextLong(), random.nextLong());
			default: throw new IllegalStateException("what is a " + name + "?");
			}
		}
	}

	// ---- what differs between versions of the client ------------------------------------------------

	// A public method only since 4.0.
	@SuppressWarnings("unchecked")
	static Map<Integer, Field> fieldsOf(TaggedFields type) {
		try {
			java.lang.reflect.Field fields = TaggedFields.class.getDeclaredField("fields");
			fields.setAccessible(true);
			return (Map<Integer, Field>) fields.get(type);
		} catch (ReflectiveOperationException e) {
			throw new IllegalStateException(e);
		}
	}

	// Its package changed in 4.4.
	static Object records(ByteBuffer bytes) {
		for (String place : new String[] { "record.internal", "record" }) {
			try {
				return Class.forName("org.apache.kafka.common." + place + ".MemoryRecords")
					.getMethod("readableRecords", ByteBuffer.class).invoke(null, bytes);
			} catch (ClassNotFoundException e) {
				continue;
			} catch (ReflectiveOperationException e) {
				throw new IllegalStateException(e);
			}
		}
		throw new IllegalStateException("this client has no MemoryRecords");
	}

	// ---- looking at a schema ----------------------------------------------------------------------

	static boolean hasField(Schema schema, String name) {
		return Arrays.stream(schema.fields()).anyMatch(f -> f.def.name.equals(name));
	}

	static boolean hasAddress(Schema schema) {
		return hasField(schema, "host") && hasField(schema, "port");
	}

	// All fields below a type, as paths.
	static void paths(String path, Type type, List<String> into) {
		if (type instanceof Schema)
			for (BoundField field : ((Schema) type).fields())
				paths(path.isEmpty() ? field.def.name : path + "." + field.def.name, field.def.type, into);
		else if (type instanceof TaggedFields)
			fieldsOf((TaggedFields) type).forEach((number, field) ->
				paths(path.replaceFirst("[^.]*$", "") + field.name, field.type, into));
		else if (type.isArray())
			paths(path, type.arrayElementType().get(), into);
		else
			into.add(path);
	}

	static List<String> addresses(Schema schema) {
		List<String> all = new ArrayList<>();
		paths("", schema, all);
		all.removeIf(path -> Arrays.stream(path.replaceFirst(".*\\.", "").split("_")).noneMatch(ADDRESS_WORDS::contains));
		return all;
	}

	// ---- encoding ---------------------------------------------------------------------------------

	static ByteBuffer write(Struct struct) {
		ByteBuffer buffer = ByteBuffer.allocate(struct.sizeOf());
		struct.writeTo(buffer);
		buffer.flip();
		return buffer;
	}

	static ByteBuffer write(Message message, short version) {
		ObjectSerializationCache cache = new ObjectSerializationCache();
		ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
		message.write(new ByteBufferAccessor(buffer), cache, version);
		buffer.flip();
		return buffer;
	}

	// What the client itself makes of the message.
	static ByteBuffer encode(Message message, Struct struct, short version) {
		ByteBuffer bytes = write(struct);
		message.read(new ByteBufferAccessor(bytes.duplicate()), version);
		ByteBuffer again = write(message, version);
		if (!again.equals(bytes))
			throw new IllegalStateException(message.getClass() + " v" + version + " is written differently");
		return again;
	}

	static String hex(ByteBuffer... parts) {
		int size = 0;
		for (ByteBuffer part : parts)
			size += part.remaining();
		ByteBuffer frame = ByteBuffer.allocate(4 + size).putInt(size);
		for (ByteBuffer part : parts)
			frame.put(part.duplicate());
		return HexFormat.of().formatHex(frame.array());
	}

	static String response(ApiMessageType api, short version, Shape shape, boolean isMapped) {
		Filler filler = new Filler(shape, isMapped, api.apiKey() * 1000 + version * 10 + shape.ordinal());
		filler.isController = shape == Shape.CONTROLLERS || api.name.equals("DescribeQuorum");
		short headerVersion = api.responseHeaderVersion(version);
		return hex(encode(new ResponseHeaderData(), filler.struct(ResponseHeaderData.SCHEMAS[headerVersion], -1), headerVersion),
				encode(api.newResponse(), filler.struct(api.responseSchemas()[version], -1), version));
	}

	static String request(ApiMessageType api, short version, Message body) {
		short headerVersion = api.requestHeaderVersion(version);
		RequestHeaderData header = new RequestHeaderData();
		header.setRequestApiKey(api.apiKey()).setRequestApiVersion(version).setCorrelationId(0x01020304);
		if (headerVersion >= 1)
			header.setClientId("client-" + version);
		ByteBuffer head = write(header, headerVersion);
		return head.remaining() + 4 + " " + hex(head, body == null ? ByteBuffer.allocate(3) : write(body, version));
	}

	// ---- what is printed --------------------------------------------------------------------------

	static void printApi(ApiMessageType api, short oldest, short newest) {
		int flexible = -1;
		for (short version = newest; version >= oldest && api.requestHeaderVersion(version) >= 2; version--)
			flexible = version;
		System.out.printf("api %d %s %d %d %d%n", api.apiKey(), api.name, oldest, newest, flexible);
	}

	static void printAddresses(ApiMessageType api, short oldest, short newest) {
		TreeMap<String, List<Integer>> seen = new TreeMap<>();
		for (short version = oldest; version <= newest; version++)
			for (String path : addresses(api.responseSchemas()[version]))
				seen.computeIfAbsent(path, p -> new ArrayList<>()).add((int) version);
		seen.forEach((path, versions) -> System.out.printf("address %d %s %s %d%n", api.apiKey(), api.name, path, versions.get(0)));
	}

	static void printResponses(ApiMessageType api, short version) {
		List<String> addresses = addresses(api.responseSchemas()[version]);
		if (!REWRITTEN.contains(api.name) || addresses.isEmpty())
			return;
		for (Shape shape : Shape.values()) {
			if (shape == Shape.NOBODY && !api.name.equals("FindCoordinator"))
				continue;
			if (shape == Shape.CONTROLLERS && !(api.name.equals("DescribeCluster") && version > 0))
				continue;
			String real = response(api, version, shape, false), mapped = response(api, version, shape, true);
			System.out.printf("response %d %d %s %s %s%n", api.apiKey(), version, shape.name().toLowerCase(), real,
				real.equals(mapped) ? "=" : mapped);
		}
	}

	static void printProduce(short version) {
		short[] acks = { 0, 1, -1 };
		String[] ids = { null, "", "t".repeat(200) };
		for (int i = 0; i < 3; i++) {
			Struct struct = new Filler(Shape.ONE, false, version).struct(ApiMessageType.PRODUCE.requestSchemas()[version], -1);
			if (version >= 3)
				struct.set("transactional_id", ids[i]);
			struct.set("acks", acks[i]);
			Message body = ApiMessageType.PRODUCE.newRequest();
			encode(body, struct, version);
			System.out.printf("produce %d %d %s%n", version, acks[i], request(ApiMessageType.PRODUCE, version, body));
		}
	}

	// Allowed or not, of no topics, one and several; before v4 nothing says so.
	static void printMetadata(short version) {
		for (Shape shape : List.of(Shape.EMPTY, Shape.ONE, Shape.MANY, Shape.TAGS))
			for (boolean isAllowed : version >= 4 ? new boolean[] { false, true } : new boolean[] { true }) {
				Struct struct = new Filler(shape, false, version).struct(ApiMessageType.METADATA.requestSchemas()[version], -1);
				if (version >= 4)
					struct.set("allow_auto_topic_creation", isAllowed);
				Message body = ApiMessageType.METADATA.newRequest();
				encode(body, struct, version);
				Object[] topics = struct.getArray("topics");
				int count = topics == null ? 0 : topics.length;
				System.out.printf("metadata %d %s %d %s%n", version, version >= 4 ? isAllowed ? "yes" : "no" : "-", count,
					request(ApiMessageType.METADATA, version, body));
			}
	}

	// A request of each version, with what it says.
	static void printHello(short version) {
		Schema schema = ApiMessageType.API_VERSIONS.requestSchemas()[version];
		Struct struct = new Filler(Shape.TAGS, false, version).struct(schema, -1);
		String software = "-", cluster = "-";
		int node = -1;
		if (version >= 3) {
			software = "apache-kafka-java";
			struct.set("client_software_name", software);
			struct.set("client_software_version", "4.4.0");
		}
		if (version >= 5) {
			cluster = "Iq8CkWcTTrG5dSBjmVZSBw";
			struct.set("cluster_id", cluster);
			struct.set("node_id", node = 3);
		}
		Message body = ApiMessageType.API_VERSIONS.newRequest();
		encode(body, struct, version);
		System.out.printf("hello %d %s %s %d %s%n", version, software, cluster, node, request(ApiMessageType.API_VERSIONS, version, body));
	}

	// {key, oldest, newest} as a broker of a later Kafka might list them, and as it is to be passed on
	// with the default policy.
	static final int[][] OFFERED = { { 0, 0, 14 }, { 1, 4, 19 }, { 2, 1, 12 }, { 3, 0, 13 }, { 10, 0, 7 }, { 18, 0, 6 },
		{ 20, 1, 6 }, { 52, 0, 2 }, { 55, 0, 2 }, { 60, 0, 2 }, { 78, 3, 4 }, { 79, 1, 3 }, { 200, 0, 1 }, { 501, 0, 0 }, { 10001, 0, 3 } };
	static final int[][] PASSED = { { 0, 0, 13 }, { 1, 4, 18 }, { 2, 1, 12 }, { 3, 0, 13 }, { 10, 0, 6 }, { 18, 0, 5 },
		{ 20, 1, 6 }, { 55, 0, 1 }, { 60, 0, 2 }, { 79, 1, 2 }, { 501, 0, 0 }, { 10001, 0, 3 } };
	static final int[][] HARMLESS = { { 2, 1, 12 }, { 3, 0, 12 }, { 18, 0, 4 } };

	static String versions(short version, short error, int[][] entries, Shape shape) {
		Schema schema = ApiMessageType.API_VERSIONS.responseSchemas()[version];
		Filler filler = new Filler(shape, false, version);
		Struct struct = filler.struct(schema, -1);
		Schema entrySchema = (Schema) schema.get("api_keys").def.type.arrayElementType().get();
		List<Struct> list = new ArrayList<>();
		for (int[] entry : entries) {
			Struct one = new Filler(shape, false, entry[0]).struct(entrySchema, -1);
			list.add(one.set("api_key", (short) entry[0]).set("min_version", (short) entry[1]).set("max_version", (short) entry[2]));
		}
		struct.set("error_code", error).set("api_keys", list.toArray());
		Struct header = new Struct(ResponseHeaderData.SCHEMAS[0]).set("correlation_id", 7);
		return hex(write(header), encode(ApiMessageType.API_VERSIONS.newResponse(), struct, version));
	}

	static void printVersions(short version) {
		for (Shape shape : new Shape[] { Shape.ONE, Shape.TAGS })
			System.out.printf("versions %d %s %s %s%n", version, shape.name().toLowerCase(), versions(version, (short) 0, OFFERED, shape),
				versions(version, (short) 0, PASSED, shape));
		System.out.printf("versions %d harmless %s =%n", version, versions(version, (short) 0, HARMLESS, Shape.ONE));
		System.out.printf("versions %d unsupported %s %s%n", version, versions((short) 0, (short) 35, new int[][] { { 18, 0, 9 } }, Shape.ONE),
			versions((short) 0, (short) 35, new int[][] { { 18, 0, 5 } }, Shape.ONE));
		System.out.printf("versions %d refused %s =%n", version, versions(version, (short) 129, new int[0][], Shape.EMPTY));
	}

	static Message message(Message message, Struct struct, short version) {
		encode(message, struct, version);
		return message;
	}

	static void printSaslHandshake(short version) {
		ApiMessageType api = ApiMessageType.SASL_HANDSHAKE;
		Struct ask = new Struct(api.requestSchemas()[version]).set("mechanism", "SCRAM-SHA-256");
		System.out.printf("sasl_handshake %d SCRAM-SHA-256 %s%n", version, request(api, version, message(api.newRequest(), ask, version)));
		Struct header = new Struct(ResponseHeaderData.SCHEMAS[0]).set("correlation_id", 7);
		for (short error : new short[] { 0, 33 }) {
			Struct answer = new Struct(api.responseSchemas()[version]).set("error_code", error)
				.set("mechanisms", new Object[] { "PLAIN", "SCRAM-SHA-256" });
			System.out.printf("sasl_answer %d %d %s%n", version, error, hex(write(header), encode(api.newResponse(), answer, version)));
		}
	}

	static void printSaslAuthenticate(short version) {
		ApiMessageType api = ApiMessageType.SASL_AUTHENTICATE;
		byte[] token = "\0alice\0secret".getBytes();
		Struct ask = new Filler(Shape.TAGS, false, version).struct(api.requestSchemas()[version], -1).set("auth_bytes", ByteBuffer.wrap(token));
		System.out.printf("sasl_authenticate %d alice %s%n", version, request(api, version, message(api.newRequest(), ask, version)));
		short headerVersion = api.responseHeaderVersion(version);
		for (short error : new short[] { 0, 58 }) {
			Filler filler = new Filler(error == 0 ? Shape.EMPTY : Shape.TAGS, false, version);
			Struct header = filler.struct(ResponseHeaderData.SCHEMAS[headerVersion], -1);
			Struct answer = filler.struct(api.responseSchemas()[version], -1).set("error_code", error);
			long lifetime = version >= 1 ? 3600000L * 24 * 365 : 0;
			if (version >= 1)
				answer.set("session_lifetime_ms", lifetime);
			System.out.printf("sasl_result %d %d %d %s%n", version, error, lifetime, hex(write(header), encode(api.newResponse(), answer, version)));
		}
	}

	// ---- errors a broker would give ---------------------------------------------------------------

	static final Set<String> GROUP_CALLS = Set.of("FindCoordinator", "JoinGroup", "Heartbeat", "LeaveGroup", "SyncGroup",
			"OffsetDelete", "ConsumerGroupHeartbeat", "ShareGroupHeartbeat", "StreamsGroupHeartbeat", "AlterShareGroupOffsets",
			"DeleteShareGroupOffsets", "StreamsGroupTopologyDescriptionUpdate");
	static final Set<String> TRANSACTION_CALLS = Set.of("AddOffsetsToTxn", "EndTxn");
	static final String DENIED = "penstock: this call is denied (api_denied)";

	static Errors denied(String name) {
		if (TRANSACTION_CALLS.contains(name))
			return Errors.TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
		return GROUP_CALLS.contains(name) ? Errors.GROUP_AUTHORIZATION_FAILED : Errors.CLUSTER_AUTHORIZATION_FAILED;
	}

	static AbstractRequest emptyRequest(ApiMessageType api, short version) throws ReflectiveOperationException {
		Message empty = (Message) api.newRequest();
		if (empty instanceof DescribeAclsRequestData) // refuses to be empty
			((DescribeAclsRequestData) empty).setResourceTypeFilter((byte) 2).setPatternTypeFilter((byte) 3)
				.setOperation((byte) 2).setPermissionType((byte) 2);
		return parse(api, write(empty, version), version);
	}

	// parseRequest's second parameter was a ByteBuffer before 4.1.
	static AbstractRequest parse(ApiMessageType api, ByteBuffer bytes, short version) throws ReflectiveOperationException {
		for (java.lang.reflect.Method method : AbstractRequest.class.getMethods()) {
			if (!method.getName().equals("parseRequest"))
				continue;
			boolean isBuffer = method.getParameterTypes()[2] == ByteBuffer.class;
			Object parsed = method.invoke(null, ApiKeys.forId(api.apiKey()), version, isBuffer ? bytes : new ByteBufferAccessor(bytes));
			return parsed instanceof RequestAndSize ? ((RequestAndSize) parsed).request : (AbstractRequest) parsed;
		}
		throw new IllegalStateException("this client has no parseRequest");
	}

	// What a broker says when all of a call is not authorised, with our message where it has one.
	static void printDenied(ApiMessageType api, short version) {
		Schema schema = api.responseSchemas()[version];
		if (!hasField(schema, "error_code"))
			return;
		Errors error = denied(api.name);
		Message said;
		try {
			said = (Message) emptyRequest(api, version).getErrorResponse(0, error.exception()).data();
			if (hasField(schema, "error_message"))
				said.getClass().getMethod("setErrorMessage", String.class).invoke(said, DENIED);
			if ((short) said.getClass().getMethod("errorCode").invoke(said) != error.code())
				return;
		} catch (ReflectiveOperationException | RuntimeException e) {
			return; // a call that has no such answer
		}
		short headerVersion = api.responseHeaderVersion(version);
		ByteBuffer header = write(new ResponseHeaderData().setCorrelationId(7), headerVersion);
		System.out.printf("denied %d %d %s%n", api.apiKey(), version, hex(header, write(said, version)));
	}

	// ---- the same, item by item -------------------------------------------------------------------

	static final Map<String, Errors> REFUSED = Map.ofEntries(
		Map.entry("Produce", Errors.TOPIC_AUTHORIZATION_FAILED),
		Map.entry("OffsetCommit", Errors.GROUP_AUTHORIZATION_FAILED),
		Map.entry("DescribeGroups", Errors.GROUP_AUTHORIZATION_FAILED),
		Map.entry("CreateTopics", Errors.TOPIC_AUTHORIZATION_FAILED),
		Map.entry("DeleteTopics", Errors.TOPIC_AUTHORIZATION_FAILED),
		Map.entry("DeleteRecords", Errors.TOPIC_AUTHORIZATION_FAILED),
		Map.entry("AddPartitionsToTxn", Errors.TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
		Map.entry("TxnOffsetCommit", Errors.TRANSACTIONAL_ID_AUTHORIZATION_FAILED),
		Map.entry("CreateAcls", Errors.CLUSTER_AUTHORIZATION_FAILED),
		Map.entry("DeleteAcls", Errors.CLUSTER_AUTHORIZATION_FAILED),
		Map.entry("DescribeConfigs", Errors.CLUSTER_AUTHORIZATION_FAILED),
		Map.entry("AlterConfigs", Errors.CLUSTER_AUTHORIZATION_FAILED),
		Map.entry("CreatePartitions", Errors.TOPIC_AUTHORIZATION_FAILED),
		Map.entry("DeleteGroups", Errors.GROUP_AUTHORIZATION_FAILED),
		Map.entry("IncrementalAlterConfigs", Errors.CLUSTER_AUTHORIZATION_FAILED),
		Map.entry("AlterClientQuotas", Errors.CLUSTER_AUTHORIZATION_FAILED));

	// No two names alike, for answers are by name; bytes that every enumeration has.
	static class Namer extends Filler {
		int next = 0;

		Namer(Shape shape, long seed) {
			super(shape, false, seed);
		}

		@Override // the client's answer wants to know how long records are
		Object value(String name, Type type, boolean isAddress, int id) {
			return type.toString().endsWith("RECORDS") ? leaf(type, id) : super.value(name, type, isAddress, id);
		}

		@Override
		Object leaf(Type type, int id) {
			String name = type.toString();
			if (name.endsWith("STRING"))
				return "n" + next++ + "-".repeat(random.nextInt(4));
			if (name.equals("INT8"))
				return (byte) 3;
			return name.equals("INT32") ? next++ : super.leaf(type, id);
		}
	}

	static boolean hasMessage(Schema schema) {
		for (BoundField field : schema.fields()) {
			Type type = field.def.type.isArray() ? field.def.type.arrayElementType().get() : field.def.type;
			if (field.def.name.equals("error_message") || type instanceof Schema && hasMessage((Schema) type))
				return true;
		}
		return false;
	}

	// Our message everywhere but in Produce's answer, where no client shows it.
	static void setMessages(Object said) throws ReflectiveOperationException {
		for (java.lang.reflect.Method method : said.getClass().getMethods()) {
			if (method.getName().equals("setErrorMessage"))
				method.invoke(said, DENIED);
			boolean isField = method.getParameterCount() == 0 && Iterable.class.isAssignableFrom(method.getReturnType());
			if (!isField || method.invoke(said) == null)
				continue;
			for (Object entry : (Iterable<?>) method.invoke(said))
				if (entry instanceof Message)
					setMessages(entry);
		}
	}

	// Produce's answer is in no order: one topic, one partition.
	static void printRefused(ApiMessageType api, short version) {
		for (Shape shape : List.of(Shape.EMPTY, api == ApiMessageType.PRODUCE ? Shape.ONE : Shape.MANY, Shape.TAGS))
			printRefused(api, version, shape);
	}

	static void printRefused(ApiMessageType api, short version, Shape shape) {
		Struct struct = new Namer(shape, version).struct(api.requestSchemas()[version], -1);
		if (api == ApiMessageType.PRODUCE)
			struct.set("acks", (short) -1); // none would have no answer
		Message body = message(api.newRequest(), struct, version);
		try {
			AbstractRequest asked = parse(api, write(body, version), version);
			Message said = (Message) asked.getErrorResponse(0, REFUSED.get(api.name).exception()).data();
			if (api != ApiMessageType.PRODUCE && hasMessage(api.responseSchemas()[version]))
				setMessages(said);
			short headerVersion = api.responseHeaderVersion(version);
			ByteBuffer header = write(new ResponseHeaderData().setCorrelationId(0x01020304), headerVersion);
			System.out.printf("refused %d %d %s %s %s%n", api.apiKey(), version, shape.name().toLowerCase(),
				request(api, version, body).split(" ")[1], hex(header, write(said, version)));
		} catch (ReflectiveOperationException e) {
			throw new IllegalStateException(e);
		}
	}

	static void print() {
		for (ApiMessageType api : ApiMessageType.values()) {
			short oldest = api.lowestSupportedVersion(), newest = api.highestSupportedVersion(true);
			if (newest < oldest)
				continue;
			printApi(api, oldest, newest);
			printAddresses(api, oldest, newest);
			for (short version = oldest; version <= newest; version++) {
				System.out.printf("request %d %d %s%n", api.apiKey(), version, request(api, version, null));
				printResponses(api, version);
				printDenied(api, version);
				if (REFUSED.containsKey(api.name) && !hasField(api.responseSchemas()[version], "error_code"))
					printRefused(api, version);
				if (api == ApiMessageType.PRODUCE)
					printProduce(version);
				if (api == ApiMessageType.METADATA)
					printMetadata(version);
				if (api == ApiMessageType.SASL_HANDSHAKE)
					printSaslHandshake(version);
				if (api == ApiMessageType.SASL_AUTHENTICATE)
					printSaslAuthenticate(version);
				if (api == ApiMessageType.API_VERSIONS) {
					printHello(version);
					printVersions(version);
				}
			}
		}
	}

	// ---- reading what others have written ---------------------------------------------------------

	// Lines "KEY VERSION FRAME" on standard input: the client must read each to its last byte, and find
	// no address but those of name().
	static void check() throws Exception {
		BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
		int count = 0, unknown = 0;
		for (String line; (line = in.readLine()) != null; ) {
			String[] words = line.split(" ");
			ApiMessageType api = ApiMessageType.fromApiKey(Short.parseShort(words[0]));
			short version = Short.parseShort(words[1]);
			if (version < api.lowestSupportedVersion() || version > api.highestSupportedVersion(true)) {
				unknown++;
				continue;
			}
			ByteBuffer frame = ByteBuffer.wrap(HexFormat.of().parseHex(words[2]));
			if (frame.getInt() != frame.remaining())
				throw new IllegalStateException("size field: " + line);
			ByteBufferAccessor readable = new ByteBufferAccessor(frame);
			new ResponseHeaderData().read(readable, api.responseHeaderVersion(version));
			Message message = api.newResponse();
			message.read(readable, version);
			if (frame.remaining() > 0 || message.toString().matches(".*host='(?!(kafka|controller)-).+"))
				throw new IllegalStateException(frame.remaining() + " bytes behind " + message);
			count++;
		}
		System.out.println(count + " frames read, " + unknown + " of versions this client does not have");
	}

	public static void main(String[] args) throws Exception {
		if (args.length == 0)
			print();
		else
			check();
	}
}
