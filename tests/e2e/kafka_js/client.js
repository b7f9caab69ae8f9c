// The co-process of kafkaclients.KafkaJs: kafkajs. Reads one JSON request per line, runs the case with clients of its own, and answers one
// JSON line: {"ok": true, ...} or {"ok": false, "error": class, "message": text}. The only argument: the folder that has kafkajs.
const crypto = require("crypto");
const fs = require("fs");
const path = require("path");
const readline = require("readline");
const zlib = require("zlib");
const { Kafka, Partitioners, logLevel } = require(path.join(process.argv[2], "node_modules", "kafkajs"));

const TABLE = Array.from({ length: 256 }, (_, n) => {
    for (let k = 0; k < 8; k++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
    return n >>> 0;
});
const crc32 = zlib.crc32 || ((data) => (data.reduce((crc, byte) => TABLE[(crc ^ byte) & 255] ^ (crc >>> 8), 0xffffffff) ^ 0xffffffff) >>> 0);

const fresh = () => "t-" + crypto.randomBytes(5).toString("hex");
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const numbers = (first, count) => Array.from({ length: count }, (_, i) => first + i);

function message(number, size) {
    const body = Buffer.from(`${number} `.padEnd(size, "x"));
    return Buffer.from(`${number} ${crc32(body)} ${body}`);
}

function numberOf(data) {
    const [, number, sum, body] = /^(\d+) (\d+) (.*)$/s.exec(data.toString());
    if (crc32(Buffer.from(body)) !== Number(sum)) throw new Error(`message ${number} is damaged`);
    return Number(number);
}

// A token that Kafka's validator of unsecured tokens takes.
function bearer(user) {
    const part = (claims) => Buffer.from(JSON.stringify(claims)).toString("base64url");
    const now = Math.floor(Date.now() / 1000);
    return `${part({ alg: "none" })}.${part({ sub: user, iat: now, exp: now + 3600 })}.`;
}

function kafka(r) {
    const s = r.security || {};
    const config = {
        brokers: r.servers.split(","), connectionTimeout: 5000, authenticationTimeout: 5000, requestTimeout: r.case === "load" ? 10000 : 30000,
        retry: { retries: r.retries || 120, initialRetryTime: 100, maxRetryTime: 1000 }, logLevel: logLevel.WARN,
        logCreator: () => ({ namespace, log }) => process.stderr.write(`${log.timestamp} ${namespace} ${log.message} ${log.error || ""}\n`),
    };
    if (s.ca) config.ssl = { ca: [fs.readFileSync(s.ca)] };
    if (s.cert) Object.assign(config.ssl, { cert: fs.readFileSync(s.cert), key: fs.readFileSync(s.key) });
    // Its own 10 s would be more than a session here lasts: it would do nothing else.
    const reauthenticationThreshold = 2000;
    const token = async () => ({ value: bearer(s.user) });
    if (s.mechanism === "OAUTHBEARER") config.sasl = { mechanism: "oauthbearer", oauthBearerProvider: token };
    else if (s.mechanism) config.sasl = { mechanism: s.mechanism.toLowerCase(), username: s.user, password: s.secret };
    return new Kafka({ ...config, reauthenticationThreshold });
}

async function withAdmin(r, what) {
    const admin = kafka(r).admin();
    await admin.connect();
    try {
        return await what(admin);
    } finally {
        await admin.disconnect();
    }
}

const create = (r, topic, numPartitions) => withAdmin(r, (admin) => admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 3 }], waitForLeaders: false }));

// The leader of each partition; none: no such topic.
const describe = (r, topic) => withAdmin(r, async (admin) => {
    const found = (await admin.fetchTopicMetadata()).topics.find((one) => one.name === topic); // one answer of one broker
    return found ? found.partitions.map((one) => one.leader) : [];
});

const brokers = (r) => withAdmin(r, async (admin) => (await admin.describeCluster()).brokers.map((b) => `${b.nodeId} ${b.host}:${b.port}`).sort());

const makeProducer = (r) => kafka(r).producer({ createPartitioner: Partitioners.DefaultPartitioner });

async function produce(r, topic, list, size) {
    const producer = makeProducer(r);
    await producer.connect();
    try {
        await producer.send({ topic, messages: list.map((n) => ({ key: String(n % 11), value: message(n, size) })) });
    } finally {
        await producer.disconnect();
    }
}

// Of a fresh topic, by brokers of which one may not have heard of it: kafkajs tries that again where it produces, but not here.
async function subscribe(consumer, topic) {
    for (const end = Date.now() + 20000; ; await sleep(200)) {
        try {
            return await consumer.subscribe({ topics: [topic], fromBeginning: true });
        } catch (error) {
            if (error.type !== "UNKNOWN_TOPIC_OR_PARTITION" || Date.now() > end) throw error;
        }
    }
}

// A group of one member; each number goes to take(). Its network.request events say which addresses it talks to.
async function reading(r, topic, take) {
    const consumer = kafka(r).consumer({ groupId: fresh(), metadataMaxAge: 5000, sessionTimeout: 10000, rebalanceTimeout: 10000, maxWaitTimeInMs: 300 });
    await consumer.connect();
    await subscribe(consumer, topic);
    await consumer.run({ eachMessage: async ({ message: one }) => take(numberOf(one.value)) });
    return consumer;
}

async function consume(r, topic, count, seconds) {
    const got = [];
    const consumer = await reading(r, topic, (n) => got.push(n));
    for (const end = Date.now() + seconds * 1000; got.length < count && Date.now() < end;) await sleep(50);
    await consumer.disconnect();
    return got;
}

// ---- cases

async function roundtrip(r) {
    const topic = fresh(), count = r.count || 1000;
    await create(r, topic, 6);
    await produce(r, topic, numbers(0, count), r.size || 100);
    const got = await consume(r, topic, count, 40), seen = new Set(got);
    return { topic, missing: numbers(0, count).filter((n) => !seen.has(n)).slice(0, 5), twice: got.length - seen.size, brokers: await brokers(r) };
}

// Waits until all brokers can have heard of a change.
async function settled(r, topic, done) {
    for (const end = Date.now() + 10000; ; await sleep(100)) {
        const leaders = await describe(r, topic);
        if (done(leaders) || Date.now() > end) return leaders;
    }
}

async function administer(r) {
    const topic = fresh();
    await create(r, topic, 4);
    const leaders = await settled(r, topic, (list) => list.length > 0 && !list.includes(-1));
    await withAdmin(r, (admin) => admin.deleteTopics({ topics: [topic] }));
    return { leaders, left: (await settled(r, topic, (list) => list.length === 0)).length };
}

// Produces and consumes for so many seconds; whatever was acknowledged must arrive. Each call has records for one partition: kafkajs 2.2.4
// takes those for sent whose leader moves to a broker that has just answered for others.
async function load(r) {
    const acked = new Set(), got = new Set(), failed = [], known = new Set(), waiting = [];
    const consumer = await reading(r, r.topic, (n) => got.add(n));
    consumer.on(consumer.events.REQUEST, (e) => known.add(e.payload.broker));
    const producer = makeProducer(r);
    producer.on(producer.events.REQUEST, (e) => known.add(e.payload.broker));
    await producer.connect();
    let sent = 0;
    for (const end = Date.now() + r.time * 1000; Date.now() < end; await sleep(50)) {
        const list = numbers(sent, 5);
        sent += 5;
        waiting.push(producer.send({ topic: r.topic, messages: list.map((n) => ({ key: String(list[0]), value: message(n, 200) })) }).then(
            () => list.forEach((n) => acked.add(n)), (error) => failed.push(String(error))));
    }
    await Promise.all(waiting);
    const lost = () => [...acked].filter((n) => !got.has(n)).length;
    for (const end = Date.now() + 60000; lost() && Date.now() < end;) await sleep(100);
    await producer.disconnect();
    await consumer.disconnect();
    return { sent, acked: acked.size, lost: lost(), failed: failed.slice(0, 3), brokers: [...known].sort() };
}

const CASES = {
    roundtrip, administer, load,
    create: async (r) => { const topic = fresh(); await create(r, topic, r.partitions || 6); return { topic }; },
    produce: async (r) => { await produce(r, r.topic, numbers(r.first, r.count), 100); return {}; },
    consume: async (r) => ({ got: (await consume(r, r.topic, r.count, 40)).sort((a, b) => a - b) }),
    brokers: async (r) => ({ brokers: await brokers(r) }),
};

async function main() {
    for await (const line of readline.createInterface({ input: process.stdin })) {
        let answer;
        try {
            const request = JSON.parse(line);
            answer = { ok: true, ...(await CASES[request.case](request)) };
        } catch (error) {
            console.error(error);
            answer = { ok: false, error: error.name, message: String(error.message) };
        }
        process.stdout.write(JSON.stringify(answer) + "\n");
    }
}

main();
