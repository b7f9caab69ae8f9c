/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The HTTP servers of the control thread, asked over real sockets while the test plays the workers.
 */
#include "test_control_harness.h"

#include <ctype.h>
#include <sys/un.h>

#include <penstock/control/admin.h>

static uint16_t admin_port, web_port;
static bool is_row_page_kept; /* the workers do not answer */
static uint32_t row_total[HARNESS_WORKERS];

static void write_config(const char *extra)
{
	admin_port = harness_port();
	harness_write("clusters:\n  east:\n    protocol: pulsar\n    discovery: { urls: "
		      "[\"pulsar://10.9.9.1:6650\", \"pulsar://[2001:db8::1]:6651\"] }\n"
		      "listeners:\n - { name: pulsar, bind: \"127.0.0.1:%u\", cluster: east }\n"
		      " - { name: plain, bind: \"127.0.0.1:%u\", forward: \"127.0.0.1:9\" }\n"
		      "admin: { listen: \"127.0.0.1:%u\" }\n%s",
		      harness_port(), harness_port(), admin_port, extra);
}

static void start(void)
{
	is_row_page_kept = false;
	write_config("");
	harness_start();
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 2 && harness.route[1] != NULL);
	harness_turns(100); /* ready */
}

/* Answers what workers were asked for, as long as there is something. */
static void answer_rows(void)
{
	static uint32_t answered[HARNESS_WORKERS];

	for (uint16_t w = 0; w < HARNESS_WORKERS; w++) {
		const struct mail *mail = NULL;

		if (harness_count(w, MAIL_ROWS_ASK) < answered[w])
			answered[w] = 0; /* a new test */
		if (!is_row_page_kept)
			mail = harness_mail(w, MAIL_ROWS_ASK, answered[w]);
		if (mail == NULL)
			continue;
		answered[w]++;
		struct mail_row_page *page = mail->rows_ask.page;
		uint32_t cursor = mail->rows_ask.cursor;
		struct mail reply = { .kind = MAIL_ROWS };

		page->count = 0;
		while (cursor < row_total[w] && page->count < MAIL_ROWS_MAX) {
			page->rows[page->count++] = (struct mail_row){
				.id = cursor,
				.worker = w,
				.listener_id = (uint16_t)(cursor % 2),
				.rule_id = UINT16_MAX,
				.kind = "data",
				.state = "relay",
				.client = addr_v4(0x0a000001, 4242),
				.broker = addr_v4(0x0a000002, 6650),
				.age_ns = 1500 * NS_PER_MS,
				.bytes_to_broker = 7,
			};
			cursor++;
		}
		reply.rows.worker = w;
		reply.rows.page = page;
		reply.rows.cursor = cursor < row_total[w] ? cursor : UINT32_MAX;
		harness_send(&reply);
	}
}

/* harness_get, with workers that describe their connections. */
static int get(const char *path, char **ret_text)
{
	char request[256];
	static char text[4 * 1024 * 1024];
	size_t len = 0;
	int fd = harness_connect(admin_port);
	uint64_t until_ns = clock_now_ns() + 60 * NS_PER_S;

	assert_true(fd >= 0);
	(void)snprintf(request, sizeof(request),
		       "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", path);
	assert_int_equal(send(fd, request, strlen(request), MSG_NOSIGNAL), strlen(request));
	for (;;) {
		ssize_t n = recv(fd, text + len, sizeof(text) - 1 - len, MSG_DONTWAIT);

		assert_true(clock_now_ns() < until_ns);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			break;
		if (n > 0)
			len += (size_t)n;
		else
			harness_turn();
		answer_rows();
	}
	(void)close(fd);
	text[len] = '\0';
	*ret_text = text;
	return len > 12 ? (int)strtol(text + 9, NULL, 10) : 0;
}

static const char *body(const char *text)
{
	const char *end = strstr(text, "\r\n\r\n");

	assert_non_null(end);
	return end + 4;
}

/* ---- metrics ----------------------------------------------------------------------------------
 */

/* The value of the sample with exactly this name and these labels; -1: there is none. */
static double sample(const char *text, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = text; at != NULL; at = strchr(at, '\n')) {
		while (*at == '\n')
			at++;
		if (strncmp(at, name, len) == 0 && at[len] == ' ')
			return strtod(at + len + 1, NULL);
	}
	return -1;
}

/* name, or name{label="value",...}, and a number; before its first sample a metric has one HELP and
 * one TYPE line, and its samples stand together. */
static void assert_line(const char *line, char *metric, size_t size)
{
	size_t len =
		strspn(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:");
	char name[128];
	const char *at = line + len;
	char *end = NULL;

	assert_true(len > 0 && len < sizeof(name) && !isdigit((unsigned char)line[0]));
	memcpy(name, line, len);
	name[len] = '\0';
	while (*at == '{' || *at == ',') {
		size_t label = strspn(++at, "abcdefghijklmnopqrstuvwxyz_");

		assert_true(label > 0 && at[label] == '=' && at[label + 1] == '"');
		at += label + 2;
		while (*at != '"') {
			assert_true(*at != '\0');
			at += *at == '\\' ? 2 : 1;
		}
		at++;
		if (*at == '}') {
			at++;
			break;
		}
		assert_int_equal(*at, ',');
	}
	assert_int_equal(*at, ' ');
	(void)strtod(at + 1, &end);
	assert_true(end > at + 1 && *end == '\0');
	/* Histogram samples belong to the metric without their suffix. */
	if (strncmp(name, metric, strlen(metric)) != 0 || metric[0] == '\0')
		fail_msg("sample %s outside its metric (%s)", name, metric);
	(void)size;
}

static void assert_exposition(char *text)
{
	static char seen[256][128];
	char metric[128] = "";
	uint32_t count = 0;
	char *save = NULL;

	for (char *line = strtok_r(text, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		if (strncmp(line, "# HELP ", 7) == 0) {
			size_t len = strcspn(line + 7, " ");

			assert_true(len < sizeof(metric) && line[7 + len] == ' ');
			memcpy(metric, line + 7, len);
			metric[len] = '\0';
			for (uint32_t i = 0; i < count; i++)
				assert_string_not_equal(seen[i], metric);
			assert_true(count < COUNT_OF(seen));
			memcpy(seen[count++], metric, len + 1);
			continue;
		}
		if (strncmp(line, "# TYPE ", 7) == 0) {
			assert_int_equal(strncmp(line + 7, metric, strlen(metric)), 0);
			continue;
		}
		assert_line(line, metric, sizeof(metric));
	}
	assert_true(count > 50);
}

static void test_metrics(void **state)
{
	struct stat_block *block;
	char *text;

	(void)state;
	start();
	for (uint32_t w = 0; w < HARNESS_WORKERS; w++) {
		block = harness.office.stats[w];
		atomic_store(&block->listener[0].accepted, 10 + w);
		atomic_store(&block->listener[0].closed[CLOSE_CLIENT_FIN], 3);
		atomic_store(&block->listener[0].closed[CLOSE_CONN_LIMIT], 1);
		atomic_store(&block->listener[1].accepted, 5);
		stat_add(block, STAT_BYTES_TO_BROKER_SPLICE, 1000);
		stat_add(block, STAT_BYTES_TO_CLIENT_COPY, 1);
		stat_add(block, STAT_LOOKUPS_RELAYED, 2);
		stat_add(block, STAT_LOOKUPS_THROTTLED, 1);
		stat_add(block, STAT_SESSIONS_IN_USE, 4 + w);
		stat_dial(block, 150 * NS_PER_US);
	}
	assert_int_equal(get("/metrics", &text), 200);
	assert_non_null(strstr(text, "text/plain; version=0.0.4; charset=utf-8"));

	const char *lines = body(text);

	assert_true(sample(lines, "penstock_connections_total{listener=\"pulsar\"}") == 21);
	assert_true(sample(lines, "penstock_connections_active{listener=\"pulsar\"}") == 13);
	assert_true(sample(lines, "penstock_connections_active{listener=\"plain\"}") == 10);
	assert_true(sample(lines, "penstock_disconnects_total{listener=\"pulsar\",reason="
				  "\"client_fin\"}") == 6);
	assert_true(sample(lines, "penstock_disconnects_total{listener=\"plain\",reason="
				  "\"client_fin\"}") == 0);
	assert_true(sample(lines, "penstock_bytes_total{dir=\"to_broker\",path=\"splice\"}") ==
		    2000);
	assert_true(sample(lines, "penstock_sessions_in_use{worker=\"1\"}") == 5);
	assert_true(sample(lines, "penstock_dial_seconds_bucket{le=\"0.000128\"}") == 0);
	assert_true(sample(lines, "penstock_dial_seconds_bucket{le=\"0.000256\"}") == 2);
	assert_true(sample(lines, "penstock_dial_seconds_count") == 2);
	assert_true(sample(lines, "penstock_brokers{cluster=\"east\"}") == 2);
	assert_true(sample(lines, "penstock_zookeeper_state{cluster=\"east\",state=\"none\"}") ==
		    1);
	assert_true(sample(lines, "penstock_snapshot_age_seconds{cluster=\"east\"}") < 5);
	assert_true(sample(lines, "penstock_snapshot_version") >= 1);
	assert_true(sample(lines, "penstock_config_generation") == 1);
	assert_true(sample(lines, "penstock_config_last_reload_successful") == 1);
	assert_true(sample(lines, "process_open_fds") > 5);
	assert_true(sample(lines, "process_resident_memory_bytes") > 1e6);
	assert_true(sample(lines, "process_start_time_seconds") > 1.7e9);
	assert_true(sample(lines, "pulsar_proxy_active_connections") == 23);
	assert_true(sample(lines, "pulsar_proxy_new_connections_total") == 31);
	assert_true(sample(lines, "pulsar_proxy_rejected_connections_total") == 2);
	assert_true(sample(lines, "pulsar_proxy_binary_bytes_total") == 2002);
	assert_true(sample(lines, "pulsar_proxy_lookup_requests_total") == 6);
	assert_true(sample(lines, "pulsar_proxy_rejected_lookup_requests_total") == 2);

	/* active = total - sum of disconnects, for every listener of this answer. */
	static const char *const listeners[] = { "pulsar", "plain" };

	for (size_t i = 0; i < COUNT_OF(listeners); i++) {
		double closed = 0;
		char name[256];

		for (uint32_t reason = CLOSE_NONE + 1; reason < CLOSE_COUNT; reason++) {
			(void)snprintf(name, sizeof(name),
				       "penstock_disconnects_total{listener=\"%s\",reason=\"%s\"}",
				       listeners[i], close_rows[reason].name);
			assert_true(sample(lines, name) >= 0);
			closed += sample(lines, name);
		}
		(void)snprintf(name, sizeof(name), "penstock_connections_total{listener=\"%s\"}",
			       listeners[i]);
		double total = sample(lines, name);

		(void)snprintf(name, sizeof(name), "penstock_connections_active{listener=\"%s\"}",
			       listeners[i]);
		assert_true(sample(lines, name) == total - closed);
	}
	assert_exposition(strstr(text, "\r\n\r\n") + 4);
}

/* Nobody says where brokers are: not a list that is new all the time, and ready all the same. */
static void test_kafka_nobody_answers(void **state)
{
	struct mail told = { .kind = MAIL_NODE, .node = { .id = 3, .place.port = 9093 } };
	char *text;

	(void)state;
	admin_port = harness_port();
	harness_write("clusters:\n  east:\n    protocol: kafka\n    discovery: { bootstrap: "
		      "[\"127.0.0.1:%u\"] }\nlisteners:\n - { name: k, bind: \"127.0.0.1:%u\", "
		      "cluster: east, kafka: { advertise: gw, base_port: %u, nodes: 0 } }\n"
		      "admin: { listen: \"127.0.0.1:%u\" }\n",
		      harness_port(), harness_port(), harness_port(), admin_port);
	harness_start();
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 2);
	harness_turns(1500);
	assert_int_equal(harness_get(admin_port, "/readyz", &text), 200);
	assert_int_equal(harness_get(admin_port, "/metrics", &text), 200);
	assert_true(sample(body(text), "penstock_snapshot_age_seconds{cluster=\"east\"}") > 1.4);
	assert_true(sample(body(text), "penstock_cluster_loaded{cluster=\"east\"}") == 0);

	/* A broker's answer to a client does. */
	(void)snprintf(told.node.place.host, sizeof(told.node.place.host), "10.9.9.3");
	harness_send(&told);
	harness_turns(100);
	assert_int_equal(harness_get(admin_port, "/metrics", &text), 200);
	assert_true(sample(body(text), "penstock_snapshot_age_seconds{cluster=\"east\"}") > 1.4);
	assert_true(sample(body(text), "penstock_cluster_loaded{cluster=\"east\"}") == 1);
}

/* Connections that one worker accepts and another one closes, as fast as it goes. */
static void *come_and_go(void *is_over)
{
	while (!atomic_load((_Atomic bool *)is_over)) {
		stat_accepted(&harness.office.stats[0]->listener[0]);
		stat_closed(&harness.office.stats[1]->listener[0], CLOSE_CLIENT_FIN);
	}
	return NULL;
}

/* In between, one may be open or many, never fewer than none. */
static void test_metrics_of_those_who_come_and_go(void **state)
{
	_Atomic bool is_over = false;
	double most_ours = 0, most_javas = 0;
	pthread_t thread;
	char *text;

	(void)state;
	start();
	assert_int_equal(pthread_create(&thread, NULL, come_and_go, &is_over), 0);
	for (int i = 0; i < 50; i++) {
		assert_int_equal(get("/metrics", &text), 200);
		double ours =
			sample(body(text), "penstock_connections_active{listener=\"pulsar\"}");
		double javas = sample(body(text), "pulsar_proxy_active_connections");

		most_ours = ours > most_ours ? ours : most_ours;
		most_javas = javas > most_javas ? javas : most_javas;
	}
	atomic_store(&is_over, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(most_ours < 1e12);
	assert_true(most_javas < 1e12);
}

/* ---- health -----------------------------------------------------------------------------------
 */

static void test_health_and_readiness(void **state)
{
	char *text;

	(void)state;
	write_config("drain: { lame_duck: 10s, spread: 0s }\n");
	harness_start();
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 2);
	harness_turns(100);
	assert_int_equal(harness_get(admin_port, "/healthz", &text), 200);
	assert_string_equal(body(text), "ok\n");
	assert_int_equal(harness_get(admin_port, "/readyz", &text), 200);
	assert_string_equal(body(text), "ready\n");
	harness_signal(SIGTERM);
	harness_turns(50);
	assert_int_equal(harness_get(admin_port, "/readyz", &text), 503);
	assert_string_equal(body(text), "draining\n");
	assert_int_equal(harness_get(admin_port, "/healthz", &text), 200);

	/* A worker that hangs. */
	uint64_t now_ns = clock_now_ns();

	while (clock_now_ns() < now_ns + ADMIN_HEARTBEAT_NS + 200 * NS_PER_MS) {
		atomic_store(&harness.office.stats[0]->heartbeat_ns, clock_now_ns());
		harness_pause();
	}
	int fd = harness_connect(admin_port);
	char answer[1024] = "";
	size_t len = 0;
	ssize_t n;

	assert_int_equal(send(fd, "GET /healthz HTTP/1.0\r\n\r\n", 25, MSG_NOSIGNAL), 25);
	while ((n = recv(fd, answer + len, sizeof(answer) - 1 - len, 0)) > 0)
		len += (size_t)n;
	(void)close(fd);
	assert_non_null(strstr(answer, " 503 "));
	assert_non_null(strstr(answer, "worker 1: last turn"));
	assert_null(strstr(answer, "worker 0"));
}

static void test_not_ready_yet(void **state)
{
	char *text;

	(void)state;
	write_config("");
	harness.is_acking = false;
	harness_start();
	harness.is_acking = false;
	harness_turns(100);
	/* Ready only if the snapshot was taken before we stopped taking. */
	if (harness.route[0] == NULL || harness.route[1] == NULL) {
		assert_int_equal(harness_get(admin_port, "/readyz", &text), 503);
		assert_non_null(strstr(text, "no snapshot"));
	}
	harness.is_acking = true;
	harness_turns(100);
	assert_int_equal(harness_get(admin_port, "/readyz", &text), 200);
}

/* ---- views ------------------------------------------------------------------------------------
 */

static void test_brokers(void **state)
{
	struct mail mail = { .kind = MAIL_LEARNED };
	char *text;

	(void)state;
	start();
	mail.learned.port = 6650;
	(void)snprintf(mail.learned.host, sizeof(mail.learned.host), "10.9.9.7");
	harness_send(&mail);
	harness_turns(200);
	assert_int_equal(get("/brokers", &text), 200);
	assert_non_null(strstr(text, "application/json"));
	assert_non_null(strstr(text, "{\"clusters\":[{\"name\":\"east\",\"protocol\":\"pulsar\","
				     "\"source\":\"urls\","
				     "\"loaded\":true,\"age_seconds\":"));
	assert_non_null(strstr(text, "\"zookeeper\":\"none\",\"brokers\":[{\"id\":"
				     "\"pulsar://10.9.9.1:6650\",\"url\":\"pulsar://10.9.9.1:6650\""
				     ",\"url_tls\":null,\"learned\":false,\"source\":\"config\","
				     "\"leaving\":false,\"age_seconds\":null},"));
	assert_non_null(strstr(text, "\"url\":\"pulsar://[2001:db8::1]:6651\""));
	assert_non_null(strstr(text, "{\"id\":\"pulsar://10.9.9.7:6650\",\"url\":"
				     "\"pulsar://10.9.9.7:6650\",\"url_tls\":null,\"learned\":true,"
				     "\"source\":\"learned\",\"leaving\":false,\"age_seconds\":"
				     "null}]"));
	assert_int_equal(get("/brokers.txt", &text), 200);
	assert_non_null(strstr(text, "text/plain"));
	assert_non_null(strstr(text, "\r\n\r\ncluster east (pulsar, urls)\nID "));
	assert_non_null(strstr(text, "\n-                       10.9.9.1:6650  "));
	assert_non_null(strstr(text, " learned     -\n"));
	assert_non_null(strstr(text, "[2001:db8::1]:6651 "));
}

/* The listener `pulsar` is replaced by one with routes. */
static void start_routed(void)
{
	is_row_page_kept = false;
	admin_port = harness_port();
	harness_write(
		"clusters:\n  east: { discovery: { urls: [\"pulsar+ssl://10.9.9.1:6651\"] } }\n"
		"listeners:\n"
		" - name: edge\n"
		"   bind: \"127.0.0.1:%u\"\n"
		"   routes:\n"
		"   - { host: a.test, forward: [\"10.9.9.2:1\", \"[2001:db8::2]:2\"], alpn: "
		"[\"h\\\"2\"], allow: [10.0.0.0/8, \"2001:db8::/32\"], max_connections: 3 }\n"
		"   - { host: \"*.b.test\", forward: \"{1}.internal:6651\" }\n"
		"   - { host: pool.test, cluster: east }\n"
		"   - { discovered: east }\n"
		" - { name: plain, bind: \"127.0.0.1:%u\", forward: \"127.0.0.1:9\" }\n"
		"egress: { allow: { hosts: [\"*.internal\"], ports: [6651] } }\n"
		"admin: { listen: \"127.0.0.1:%u\" }\n",
		harness_port(), harness_port(), admin_port);
	harness_start();
	HARNESS_UNTIL(harness_count(0, MAIL_LISTEN) == 2 && harness.route[1] != NULL);
	harness_turns(100);
}

static void test_routes(void **state)
{
	char *text;

	(void)state;
	start_routed();
	assert_int_equal(get("/routes", &text), 200);
	assert_non_null(strstr(
		text,
		"{\"routes\":[{\"listener\":\"edge\",\"route\":\"a.test[h\\\"2]\",\"host\":\"a.test\","
		"\"mode\":\"pass\",\"forward\":[\"10.9.9.2:1\",\"[2001:db8::2]:2\"],\"cluster\":null,"
		"\"discovered\":null,\"alpn\":[\"h\\\"2\"],\"allow\":[\"10.0.0.0/8\","
		"\"2001:db8::/32\"],\"max_connections\":3,\"active\":0,\"total\":0},"));
	assert_non_null(strstr(text, "\"cluster\":\"east\",\"discovered\":null"));
	assert_non_null(strstr(text, "\"route\":\"discovered:east\",\"host\":null"));
	atomic_store(&harness.office.routes[2].active, 4);
	assert_int_equal(get("/routes", &text), 200);
	assert_non_null(strstr(text, "\"active\":4,\"total\":0},{\"listener\":\"edge\",\"route\":"
				     "\"discovered:east\""));
	atomic_store(&harness.office.routes[2].active, 0);
}

static void test_ways(void **state)
{
	static const char *const ways[][2] = {
		{ "/routes?sni=a.test&alpn=h%222&client=10.1.1.1",
		  "\"route\":\"a.test[h\\\"2]\",\"mode\":\"pass\",\"cluster\":null,\"reason\":null,"
		  "\"why\":null,\"targets\":[{\"target\":\"10.9.9.2:1\",\"answer\":\"dial\",\"reason\":"
		  "null,\"addresses\":[\"10.9.9.2:1\"]},{\"target\":\"[2001:db8::2]:2\"," },
		{ "/routes?sni=a.test&alpn=h%222", "\"reason\":\"acl_cidr\",\"why\":\"" },
		{ "/routes?sni=a.test", "\"route\":null,\"mode\":null,\"cluster\":null,\"reason\":"
					"\"no_alpn\"" },
		{ "/routes?sni=X.B.test&listener=edge",
		  "\"targets\":[{\"target\":\"x.internal:6651\",\"answer\":\"resolve\"" },
		{ "/routes?sni=pool.test", "\"targets\":[{\"target\":\"10.9.9.1:6651\",\"answer\":"
					   "\"dial\"" },
		{ "/routes?sni=", "\"reason\":\"sni_missing\"" },
		{ "/routes?sni=c.test", "\"reason\":\"no_route\"" },
		{ "/routes?sni=c.test&listener=plain", "{\"ways\":[]}" },
	};
	char *text;

	(void)state;
	start_routed();
	for (size_t i = 0; i < COUNT_OF(ways); i++) {
		assert_int_equal(get(ways[i][0], &text), 200);
		if (strstr(text, ways[i][1]) == NULL)
			fail_msg("%s: %s", ways[i][0], body(text));
	}
	assert_int_equal(get("/routes?sni=a&client=x", &text), 400);
	assert_string_equal(body(text), "{\"error\":\"client: an address without a port\"}\n");
	assert_int_equal(get("/routes?alpn=x", &text), 400);
	assert_int_equal(get("/routes?sni=a&alpn", &text), 200); /* a key alone is no value */
}

static void test_connections(void **state)
{
	char *text;
	uint32_t count = 0;

	(void)state;
	start();
	row_total[0] = 0;
	row_total[1] = 0;
	assert_int_equal(get("/connections", &text), 200);
	assert_string_equal(body(text), "{\"connections\":[\n],\"count\":0}\n");
	/* More than a page from both. */
	row_total[0] = 600;
	row_total[1] = 257;
	assert_int_equal(get("/connections", &text), 200);
	assert_non_null(strstr(text, "\"count\":857}"));
	assert_non_null(strstr(
		text,
		"{\"id\":1,\"worker\":0,\"listener\":\"plain\",\"route\":null,\"kind\":\"data\","
		"\"state\":\"relay\",\"client\":\"10.0.0.1:4242\",\"broker\":"
		"\"10.0.0.2:6650\",\"age_seconds\":1.500,\"bytes_to_broker\":7,"
		"\"bytes_to_client\":0,\"spliced\":0}"));
	for (const char *at = text; (at = strstr(at, "\"id\":")) != NULL; at++)
		count++;
	assert_int_equal(count, 857);
}

static void test_connections_of_a_stuck_worker(void **state)
{
	static const char request[] = "GET /connections HTTP/1.0\r\n\r\n";
	char *text;
	int fds[3];

	(void)state;
	start();
	is_row_page_kept = true;
	for (size_t i = 0; i < COUNT_OF(fds); i++) {
		fds[i] = harness_connect(admin_port);
		assert_int_equal(send(fds[i], request, strlen(request), MSG_NOSIGNAL),
				 strlen(request));
	}
	harness_turns(100);
	/* Others are served meanwhile. */
	assert_int_equal(get("/readyz", &text), 200);
	assert_int_equal(get("/connections", &text), 503); /* after 5 s, with those who waited */
	for (size_t i = 0; i < COUNT_OF(fds); i++) {
		char answer[64];

		assert_true(recv(fds[i], answer, sizeof(answer), 0) > 12);
		assert_int_equal(strncmp(answer + 9, "503", 3), 0);
		(void)close(fds[i]);
	}
	assert_int_equal(get("/connections", &text), 503); /* at once: the page is away */
	/* It comes back after all. */
	is_row_page_kept = false;
	row_total[0] = row_total[1] = 1;
	answer_rows();
	harness_turns(50);
	assert_int_equal(get("/connections", &text), 200);
	assert_non_null(strstr(text, "\"count\":2}"));
}

/* ---- HTTP -------------------------------------------------------------------------------------
 */

static void test_other_requests(void **state)
{
	static const struct {
		const char *request;
		int status;
	} rows[] = {
		{ "GET / HTTP/1.0\r\n\r\n", 404 },
		{ "GET /status.html HTTP/1.0\r\n\r\n", 404 },
		{ "GET /metrics/ HTTP/1.0\r\n\r\n", 404 },
		{ "GET /metrics?x=y HTTP/1.0\r\n\r\n", 200 },
		{ "HEAD /metrics HTTP/1.0\r\n\r\n", 200 },
		{ "POST /metrics HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", 405 },
		{ "PUT /readyz HTTP/1.0\r\nContent-Length: 0\r\n\r\n", 405 },
		{ "DELETE /brokers HTTP/1.0\r\n\r\n", 405 },
		{ "nonsense\r\n\r\n", 400 },
	};
	char *text;

	(void)state;
	start();
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		int status = harness_http(admin_port, rows[i].request, &text);

		/* Nonsense may be answered by closing. */
		if (status != rows[i].status && !(rows[i].status == 400 && status == 0))
			fail_msg("%s: %d", rows[i].request, status);
		if (status == 405)
			assert_non_null(strstr(text, "Allow: GET, HEAD"));
	}
	assert_int_equal(harness_http(admin_port, "HEAD /metrics HTTP/1.0\r\n\r\n", &text), 200);
	assert_string_equal(body(text), "");
}

static void test_clients_that_do_not_read(void **state)
{
	static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
	int fds[40];
	char *text;

	(void)state;
	start();
	/* They ask and ask, and read nothing; some do not even finish a request. */
	for (size_t i = 0; i < COUNT_OF(fds); i++) {
		fds[i] = harness_connect(admin_port);
		assert_true(fds[i] >= 0);
		for (int j = 0; j < 50 && i % 2 == 0; j++)
			(void)send(fds[i], request, strlen(request), MSG_NOSIGNAL | MSG_DONTWAIT);
		(void)send(fds[i], "GET /met", 8, MSG_NOSIGNAL | MSG_DONTWAIT);
		harness_turn();
	}
	uint64_t begun_ns = clock_now_ns();

	/* Long before any of them is given up. */
	assert_int_equal(get("/readyz", &text), 200);
	assert_true(clock_now_ns() - begun_ns < ADMIN_TIMEOUT_S * NS_PER_S / 2);
	for (size_t i = 0; i < COUNT_OF(fds); i++)
		(void)close(fds[i]);
	harness_turns(50);
	assert_int_equal(get("/readyz", &text), 200);
}

/* ---- the Java web port ------------------------------------------------------------------------
 */

static char status_path[96];

static void with_web(struct config *config)
{
	config->web.is_on = true;
	config->web.listen = addr_v4(INADDR_LOOPBACK, web_port);
	config->web.has_metrics = true;
	config->web.status_file = status_path;
	config->web.cluster_name = "my \"cluster\"";
}

static void without_status(struct config *config)
{
	with_web(config);
	config->web.status_file = NULL;
	config->web.has_metrics = false;
}

static void test_web_port(void **state)
{
	char *text;
	FILE *file = fopen(unit_path(status_path, "status"), "w");

	(void)state;
	assert_non_null(file);
	(void)fclose(file);
	web_port = harness_port();
	harness.change = with_web;
	start();
	assert_int_equal(harness_get(web_port, "/status.html", &text), 200);
	assert_string_equal(body(text), "OK");
	(void)unlink(status_path); /* how operators take a proxy out of the load balancer */
	assert_int_equal(harness_get(web_port, "/status.html", &text), 404);
	assert_int_equal(harness_get(web_port, "/metrics", &text), 200);
	assert_non_null(strstr(text,
			       "pulsar_proxy_active_connections{cluster=\"my \\\"cluster\\\"\"} "
			       "0\n"));
	assert_int_equal(harness_get(web_port, "/metrics/", &text), 200);
	assert_exposition(strstr(text, "\r\n\r\n") + 4);
	/* What is for administrators only is not on that port. */
	assert_int_equal(harness_get(web_port, "/connections", &text), 404);
	assert_int_equal(harness_get(web_port, "/brokers", &text), 404);
	assert_int_equal(harness_get(web_port, "/readyz", &text), 404);
}

static void test_web_port_without(void **state)
{
	char *text;

	(void)state;
	web_port = harness_port();
	harness.change = without_status;
	start();
	assert_int_equal(harness_get(web_port, "/status.html", &text), 404);
	assert_int_equal(harness_get(web_port, "/metrics", &text), 404);
}

/* ---- the unix socket --------------------------------------------------------------------------
 */

static char unix_path[96];

static void with_unix(struct config *config)
{
	config->admin.is_on = true;
	config->admin.unix_path = unix_path;
}

static int unix_connect(void)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(name.sun_path, unix_path, strlen(unix_path) + 1);
	if (connect(fd, (struct sockaddr *)&name, sizeof(name)) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static void test_unix_socket(void **state)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	char answer[4096];
	int left = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	/* Left over from a crash: nobody listens. */
	unit_path(unix_path, "admin.sock");
	memcpy(name.sun_path, unix_path, strlen(unix_path) + 1);
	assert_int_equal(bind(left, (struct sockaddr *)&name, sizeof(name)), 0);
	(void)close(left);
	harness.change = with_unix;
	start();
	int fd = unix_connect();

	assert_true(fd >= 0);
	assert_int_equal(send(fd, "GET /readyz HTTP/1.0\r\n\r\n", 24, MSG_NOSIGNAL), 24);
	assert_true(recv(fd, answer, sizeof(answer), 0) > 12);
	assert_int_equal(strncmp(answer + 9, "200", 3), 0);
	(void)close(fd);
	harness_teardown(state);
	assert_int_equal(access(unix_path, F_OK), -1); /* taken away at the end */
	harness_setup(state);

	/* Somebody else's is not touched. */
	left = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(left, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(listen(left, 4), 0);
	harness.change = with_unix;
	write_config("");
	harness_start();
	assert_int_equal(atomic_load(&harness.opened), -EADDRINUSE);
	(void)harness_join();
	(void)close(left);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, harness_setup, harness_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_metrics),
		CASE(test_health_and_readiness),
		CASE(test_not_ready_yet),
		CASE(test_brokers),
		CASE(test_routes),
		CASE(test_ways),
		CASE(test_connections),
		CASE(test_connections_of_a_stuck_worker),
		CASE(test_other_requests),
		CASE(test_clients_that_do_not_read),
		CASE(test_web_port),
		CASE(test_web_port_without),
		CASE(test_unix_socket),
		CASE(test_metrics_of_those_who_come_and_go),
		CASE(test_kafka_nobody_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
