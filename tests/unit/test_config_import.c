/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Files of Apache Traffic Server as penstock.yaml: every form, what is carried over, what is left
 * and where it stood, and that whatever comes out is taken by config_load.
 */
#include "../../src/config/config_import.h"
#include "config_help.h"
#include "unit.h"

/* ---- helpers --------------------------------------------------------------------------------- */

struct file {
	const char *name, *text;
};

struct result {
	bool is_fine;
	char *yaml, *said;
	uint32_t left, errors;
};

static FILE *memory(char **text)
{
	static size_t size;
	FILE *out = open_memstream(text, &size);

	assert_non_null(out);
	return out;
}

static void result_free(struct result *result)
{
	free(result->yaml);
	free(result->said);
}

/* What `penstock run` makes of it, as a dump; the caller frees. Everything written is taken. */
static char *loaded(const char *yaml)
{
	char *said = NULL;
	struct config_errors errors = { .out = memory(&said) };
	struct config_read *read = config_read_new(&errors);

	if (config_yaml_read(read, "out.yaml", yaml, strlen(yaml)))
		config_check(read, "out.yaml");
	struct config *config = config_read_end(read, 0);

	assert_int_equal(fclose(errors.out), 0);
	if (config == NULL)
		fail_msg("%s\nof\n%s", said, yaml);
	char *dump = help_dump(config);

	config_free(config);
	free(said);
	return dump;
}

static struct result import_len(const struct file *files, size_t count, size_t last_len)
{
	struct result result = { .yaml = NULL };
	struct config_errors errors = { .out = memory(&result.said) };
	FILE *out = memory(&result.yaml);
	struct config_import import;

	config_import_begin(&import, &errors);
	for (size_t i = 0; i < count; i++) {
		size_t len = i + 1 == count ? last_len : strlen(files[i].text);
		uint8_t *copy = exact_copy(files[i].text, len);

		config_import_text(&import, files[i].name, (const char *)copy, len);
		free(copy);
	}
	result.is_fine = config_import_end(&import, out, &result.left);
	assert_int_equal(fclose(errors.out), 0);
	assert_int_equal(fclose(out), 0);
	result.errors = errors.error_count;
	assert_true(result.is_fine == (errors.error_count == 0));
	if (result.is_fine) {
		assert_int_equal(result.left, errors.warn_count);
		free(loaded(result.yaml));
	} else {
		assert_string_equal(result.yaml, "");
	}
	return result;
}

static struct result import(const struct file *files, size_t count)
{
	return import_len(files, count, strlen(files[count - 1].text));
}

static void assert_has(const char *text, const char *part)
{
	if (strstr(text, part) == NULL)
		fail_msg("no\n%s\nin\n%s", part, text);
}

static void assert_has_not(const char *text, const char *part)
{
	if (strstr(text, part) != NULL)
		fail_msg("there is\n%s\nin\n%s", part, text);
}

/* `head`, then `count` times `line` with a number for each #; the caller frees. */
static char *repeat(const char *head, const char *line, uint32_t count);

/* ---- examples -------------------------------------------------------------------------------- */

static const char records_text[] =
	"# PROXY TLS PORT\n"
	"CONFIG proxy.config.http.server_ports STRING 4443:ssl 4080\n"
	"# PROXY CERTS\n"
	"CONFIG proxy.config.ssl.client.cert.path STRING /proxy-cert.pem\n"
	"CONFIG proxy.config.ssl.client.cert.filename STRING /proxy-key.pem\n"
	"\n"
	"# The range of origin server ports\n"
	"CONFIG proxy.config.http.connect_ports STRING 4443 6651\n";

static const char records_yaml_text[] = "records:\n"
					"  http:\n"
					"    server_ports: 4443:ssl 4080\n"
					"    connect_ports: 4443 6651\n"
					"  ssl:\n"
					"    client:\n"
					"      cert:\n"
					"        path: /proxy-cert.pem\n"
					"        filename: !<str> /proxy-key.pem\n";

static const char lua_text[] = "server_config = {\n"
			       "  {\n"
			       "     fqdn = 'pulsar-broker-vip',\n"
			       "     # the brokers behind one address\n"
			       "     tunnel_route = 'pulsar-broker-vip:6651'\n"
			       "  },\n"
			       "  {\n"
			       "     fqdn = \"pulsar-broker1.example.com\"; -- one of them\n"
			       "     --[[ more than\n"
			       "          a line ]]\n"
			       "     ['tunnel_route'] = 'pulsar-broker1:6651',\n"
			       "  },\n"
			       "}\n";

static const char sni_text[] = "sni:\n"
			       "  - fqdn: pulsar-broker-vip\n"
			       "    tunnel_route: pulsar-broker-vip:6651\n"
			       "  - fqdn: pulsar-broker1.example.com\n"
			       "    tunnel_route: 'pulsar-broker1:6651'\n";

static const char old_yaml_text[] =
	"server_config:\n"
	"- { fqdn: pulsar-broker-vip, tunnel_route: \"pulsar-broker-vip:6651\" }\n"
	"- { fqdn: pulsar-broker1.example.com, tunnel_route: \"pulsar-broker1:6651\" }\n";

static const char rich_text[] = "# an sni.yaml of a geo-replicated cluster\n"
				"sni:\n"
				"- fqdn: '*.cells.example.com'\n"
				"  tunnel_route: $1.internal:6651\n"
				"  ip_allow: 10.0.0.0/8,192.168.10.1-192.168.10.4,2001:db8::/32\n"
				"- fqdn: b.cells.example.com\n"
				"  tunnel_route: never:1\n"
				"- fqdn: console.example.com\n"
				"  forward_route: 10.0.0.5:8080\n"
				"  verify_client: STRICT\n"
				"  verify_client_ca_certs: { file: ca.pem }\n"
				"- fqdn: web.example.com\n"
				"  disable_h2: true\n"
				"- fqdn: '*.example.com'\n"
				"  inbound_port_ranges: [4443, 8080-8086]\n"
				"  tunnel_route: any:{inbound_local_port}\n"
				"- fqdn: '*'\n"
				"  tunnel_route: '[2001:db8::9]:6651'\n";

/* The examples of Pulsar's page on SNI routing, in each of their forms, say the same. */
static void test_examples(void **state)
{
	static const struct file records[] = { { "records.config", records_text },
					       { "records.yaml", records_yaml_text } };
	static const struct file tables[] = { { "ssl_server_name.config", lua_text },
					      { "sni.yaml", sni_text },
					      { "ssl_server_name.yaml", old_yaml_text } };
	char *first = NULL;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(records) * COUNT_OF(tables) * 2; i++) {
		struct file files[] = { records[i % 2], tables[i / 4] };

		if (i / 2 % 2 == 1) {
			files[0] = tables[i / 4];
			files[1] = records[i % 2];
		}
		struct result result = import(files, 2);
		char *dump = loaded(result.yaml);

		assert_int_equal(result.left, 3); /* 4080 and the certificate */
		first = first != NULL ? first : strdup(dump);
		assert_string_equal(dump, first);
		free(dump);
		result_free(&result);
	}
	assert_has(first, "    bind: \"0.0.0.0:4443\"\n");
	assert_has(first, "    allow_ports: [4443, 6651]\n");
	assert_has(first, "      - host: pulsar-broker-vip\n"
			  "        forward: \"pulsar-broker-vip:6651\"\n");
	assert_has(first, "      - host: pulsar-broker1.example.com\n"
			  "        forward: \"pulsar-broker1:6651\"\n");
	free(first);
}

static void test_said(void **state)
{
	static const struct file files[] = { { "/etc/ts/records.config", records_text },
					     { "/etc/ts/sni.yaml", sni_text } };
	struct result result = import(files, 2);

	(void)state;
	assert_string_equal(
		result.said,
		"/etc/ts/records.config:2:1: warning: server_ports: 4080: HTTP without TLS (no "
		":ssl), which penstock does not serve\n"
		"/etc/ts/records.config:4:1: warning: proxy.config.ssl.client.cert.path: how ATS "
		"does TLS to targets; here the client's own TLS reaches them\n"
		"/etc/ts/records.config:5:1: warning: proxy.config.ssl.client.cert.filename: how "
		"ATS does TLS to targets; here the client's own TLS reaches them\n");
	assert_has(result.yaml,
		   "\n# Not carried over:\n#   /etc/ts/records.config:2: server_ports: 4080");
	assert_has(result.yaml, "#   /etc/ts/records.config:4: proxy.config.ssl.client.");
	assert_has(result.yaml, "  - name: tls-4443\n"
				"    bind: \"0.0.0.0:4443\"  # /etc/ts/records.config:2\n"
				"    allow_ports: [4443, 6651]  # /etc/ts/records.config:8\n"
				"    routes:\n"
				"      - { host: \"pulsar-broker-vip\", forward: "
				"\"pulsar-broker-vip:6651\" }  # /etc/ts/sni.yaml:2\n");
	assert_has(result.yaml, "That is **.name here");
	result_free(&result);
}

static void test_rich(void **state)
{
	static const struct file files[] = { { "r", "CONFIG proxy.config.http.server_ports STRING "
						    "4443:ssl 4443:ssl:ipv6\n"
						    "CONFIG proxy.config.http.connect_ports STRING "
						    "443 4443 6650-6652\n" },
					     { "s.yaml", rich_text } };
	struct result result = import(files, 2);

	(void)state;
	assert_has(result.yaml,
		   "    bind: \"[::]:4443\"  # r:1\n"
		   "    # [::] takes IPv4 as well.\n"
		   "    allow_ports: [443, 4443, 6650, 6651, 6652]  # r:2\n"
		   "    no_sni: \"*\"  # s.yaml:17\n"
		   "    routes:\n"
		   "      - { host: \"**.cells.example.com\", forward: \"{1}.internal:6651\", "
		   "allow: [\"10.0.0.0/8\", \"192.168.10.1/32\", \"192.168.10.2/31\", "
		   "\"192.168.10.4/32\", \"2001:db8::/32\"] }  # s.yaml:3\n"
		   "      - { host: \"**.example.com\", forward: \"any:4443\" }  # s.yaml:14\n"
		   "      - { host: \"*\", forward: \"[2001:db8::9]:6651\" }  # s.yaml:17\n"
		   "\n# Clients have a say");
	assert_has(result.yaml, "    hosts: [\"**.internal\"]\n"
				"    ports: [443, 4443, 6650, 6651, 6652]\n");
	assert_has(result.yaml, "\n# Remarks:\n#   s.yaml:6: fqdn b.cells.example.com: ATS never "
				"gets to it on port 4443, since *.cells.example.com (s.yaml:3) "
				"comes first: left out\n");
	assert_has(result.said,
		   "s.yaml:9:3: warning: fqdn console.example.com: '10.0.0.5:8080': TLS ends here, "
		   "and there is no certificate; name ssl_multicert.config too, so this route is "
		   "left out\n");
	assert_has(result.said,
		   "s.yaml:12:3: warning: fqdn web.example.com: has no tunnel_route: ");
	assert_has(result.said, "s.yaml:13:3: warning: disable_h2: true: about HTTP");
	assert_has(result.said, "s.yaml:8:3: warning: fqdn console.example.com: is left out, so on "
				"port 4443 its clients fall under *.example.com");
	result_free(&result);
}

/* ---- what becomes of entries and settings ---------------------------------------------------- */

#define SNI(fqdn, more) "sni:\n- fqdn: " fqdn "\n  " more "\n"
#define LISTEN		"CONFIG proxy.config.http.server_ports STRING 443:ssl\n"

struct row {
	const char *records, *sni;
	uint32_t left;
	const char *yaml, *said; /* parts of them */
};

static const struct row rows[] = {
	/* Carried over whole. */
	{ LISTEN, SNI("A.Example.COM.", "tunnel_route: B:1"), 0,
	  "{ host: \"a.example.com\", forward: \"b:1\" }  # s.yaml:2\n", "" },
	{ LISTEN, SNI("a.b", "tunnel_route: c"), 0, "forward: \"c:443\" }", "" },
	{ LISTEN, SNI("a.b", "tunnel_route: 10.0.0.1:6651"), 0, "forward: \"10.0.0.1:6651\" }",
	  "" },
	{ LISTEN, SNI("a.b", "tunnel_route: '[::1]'"), 0, "forward: \"[::1]:443\" }", "" },
	{ LISTEN, SNI("a.b", "tunnel_route: 'c:{inbound_local_port}'"), 0, "forward: \"c:443\" }",
	  "" },
	{ LISTEN, SNI("a.b", "tunnel_route: c.d.:6651"), 0, "forward: \"c.d:6651\" }", "" },
	{ LISTEN, SNI("a.b", "tunnel_route: c:1\n  ip_allow: [10.0.0.1, 10.1.0.0/16]"), 0,
	  "allow: [\"10.0.0.1\", \"10.1.0.0/16\"] }", "" },
	{ LISTEN, SNI("a.b", "tunnel_route: c:1\n  ip_allow: 192.168.10.4-7"), 0,
	  "allow: [\"192.168.10.4/30\"] }", "" },
	{ LISTEN, SNI("'*.a.b'", "tunnel_route: $1:6651"), 0,
	  "{ host: \"**.a.b\", forward: \"{1}:6651\" }", "" },
	{ LISTEN, SNI("'*.a.b'", "tunnel_route: $1:6651"), 0,
	  "    hosts: [\"*\"]\n    ports: [443, 6651]\n", "" },
	{ LISTEN, SNI("'*.a.b'", "tunnel_route: x-$1-y.$1.C.d:6651"), 0,
	  "    hosts: [\"**.c.d\"]\n", "" },
	{ LISTEN, SNI("'*.a.b'", "tunnel_route: $1.1.2.3:6651"), 0, "    hosts: [\"*\"]\n", "" },
	{ LISTEN, SNI("'*'", "tunnel_route: a:1"), 0, "    no_sni: \"*\"  # s.yaml:2\n", "" },
	{ LISTEN, SNI("a.b", "inbound_port_ranges: 400-500\n  tunnel_route: c:1"), 0,
	  "{ host: \"a.b\", forward: \"c:1\" }", "" },
	{ LISTEN "CONFIG proxy.config.http.connect_ports STRING *\n",
	  SNI("'*.a.b'", "tunnel_route: $1:6651"), 0, "    allow_ports: [\"*\"]  # r:2\n", "" },
	{ LISTEN "CONFIG proxy.config.http.connect_ports STRING 0-65535\n",
	  SNI("a.b", "tunnel_route: c:1"), 0, "    allow_ports: [\"*\"]  # r:2\n", "" },
	{ LISTEN "LOCAL\tproxy.config.ssl.servername.filename STRING sni.yaml\n"
		 "CONFIG proxy.config.ssl.server.cert.path STRING NULL\n"
		 "CONFIG proxy.config.cache.x STRING\n",
	  SNI("a.b", "tunnel_route: c:1"), 0, "{ host: \"a.b\"", "" },
	{ "CONFIG proxy.config.http.server_ports STRING 1:ssl\n" LISTEN,
	  SNI("a.b", "tunnel_route: c:1"), 0, "    bind: \"0.0.0.0:443\"  # r:2\n", "" },
	{ LISTEN "CONFIG proxy.config.http.server_ports STRING "
		 "443:ssl:ip-in=10.0.0.1:ip-in=[2001:db8::1],444:ipv4:ssl\r\n",
	  SNI("a.b", "tunnel_route: c:1"), 0,
	  "  - name: tls-443-1\n    bind: \"[2001:db8::1]:443\"", "" },
	{ "CONFIG proxy.config.http.server_ports STRING 443:ssl:ip-in=10.0.0.1 443:ssl\n",
	  SNI("a.b", "tunnel_route: c:1"), 0, "  - name: tls-443\n    bind: \"0.0.0.0:443\"", "" },
	{ "CONFIG proxy.config.http.server_ports STRING 9180:ssl\n",
	  SNI("a.b", "tunnel_route: c:1"), 0, "\nadmin: { listen: \"127.0.0.1:9181\" }\n", "" },
	/* Other orders of the same names: the first entry wins in ATS. */
	{ LISTEN, "sni:\n- {fqdn: a.b, tunnel_route: x:1}\n- {fqdn: a.b, tunnel_route: y:1}\n", 0,
	  "#   s.yaml:3: fqdn a.b: ATS never gets to it on port 443, since a.b (s.yaml:2)", "" },
	{ LISTEN, "sni:\n- {fqdn: '*', tunnel_route: x:1}\n- {fqdn: '*.b', tunnel_route: y:1}\n", 0,
	  "#   s.yaml:3: fqdn *.b: ATS never gets to it", "" },
	{ LISTEN, "sni:\n- {fqdn: '*.b', tunnel_route: x:1}\n- {fqdn: b, tunnel_route: y:1}\n", 0,
	  "{ host: \"b\", forward: \"y:1\" }", "" },
	/* Left behind. */
	{ "", SNI("a.b", "tunnel_route: c:1"), 1, "    bind: \"0.0.0.0:443\"\n",
	  "warning: server_ports: is in no file given, so port 443 is a guess; set bind\n" },
	{ "CONFIG proxy.config.http.server_ports STRING 80\n", SNI("a.b", "tunnel_route: c:1"), 2,
	  "    bind: \"0.0.0.0:443\"\n", "server_ports: has no TLS port (:ssl), so port 443 " },
	{ LISTEN, "sni:\n", 1, "# No listeners: nothing could be carried over.\n",
	  "r:1:1: warning: port 443: no sni.yaml was given, and a listener without routes " },
	{ LISTEN, SNI("a.b", "forward_route: c:1"), 2, "# No listeners",
	  "port 443: there is no route for it" },
	{ LISTEN, SNI("a.b", "partial_blind_route: c:1\n  tunnel_alpn: [h2]"), 2, "# No listeners",
	  "s.yaml:3:3: warning: fqdn a.b: 'c:1': TLS ends here, and there is no certificate" },
	{ LISTEN, SNI("a.b", "tunnel_route: c:1\n  tunnel_alpn: [h2]\n  verify_client: STRICT"), 2,
	  "{ host: \"a.b\", forward: \"c:1\" }",
	  "s.yaml:5:3: warning: verify_client: STRICT: client certificates are asked for where TLS "
	  "ends, and a tunnel ends at the target\n" },
	{ LISTEN, SNI("a.b", "forward_route: c:1\n  tunnel_route: d:1"), 1,
	  "{ host: \"a.b\", forward: \"d:1\" }",
	  "s.yaml:3:3: warning: forward_route: ATS takes the tunnel_route beside it\n" },
	{ LISTEN, SNI("a.b", "tunnel_route: d:1\n  wombat: 1"), 1, "forward: \"d:1\" }",
	  "s.yaml:4:3: warning: wombat: 1: a key that neither" },
	{ LISTEN, "sni:\n- tunnel_route: a:1\n", 2, "# No listeners",
	  "s.yaml:2:3: warning: an entry without fqdn: " },
	{ LISTEN, SNI("'a.*.b'", "tunnel_route: c:1"), 2, "# No listeners",
	  "fqdn a.*.b: a wildcard stands at the front" },
	{ LISTEN, SNI("'*a.b'", "tunnel_route: c:1"), 2, "# No listeners",
	  "fqdn *a.b: a wildcard" },
	{ LISTEN, SNI("10.0.0.1", "tunnel_route: c:1"), 2, "# No listeners", "no server name for" },
	{ LISTEN, SNI("'*.10.0.0.1'", "tunnel_route: c:1"), 2, "# No listeners",
	  "no server name for" },
	{ LISTEN, SNI("'a..b'", "tunnel_route: c:1"), 2, "# No listeners",
	  "fqdn a..b: 'a..b' is neither a host name" },
	{ LISTEN, SNI("''", "tunnel_route: c:1"), 2, "# No listeners", "fqdn : '' is neither" },
	{ LISTEN, SNI("a.b", "tunnel_route: c:0"), 2, "# No listeners",
	  "tunnel_route: 'c:0': it has no port from 1 to 65535" },
	{ LISTEN, SNI("a.b", "tunnel_route: c:65536"), 2, "# No listeners", "it has no port" },
	{ LISTEN, SNI("a.b", "tunnel_route: ':1'"), 2, "# No listeners", "'' is neither" },
	{ LISTEN, SNI("a.b", "tunnel_route: '::1:443'"), 2, "# No listeners", "needs brackets" },
	{ LISTEN, SNI("a.b", "tunnel_route: '[::1:443'"), 2, "# No listeners", "not closed" },
	{ LISTEN, SNI("a.b", "tunnel_route: '[::1]x'"), 2, "# No listeners", "more than a port" },
	{ LISTEN, SNI("a.b", "tunnel_route: 10.0.0:1"), 2, "# No listeners", "looks like an addr" },
	{ LISTEN, SNI("a.b", "tunnel_route: '{1}:1'"), 2, "# No listeners", "is neither a host" },
	{ LISTEN, SNI("a.b", "tunnel_route: $1:1"), 2, "# No listeners", "and there is none" },
	{ LISTEN, SNI("'*.a.b'", "tunnel_route: $2:1"), 2, "# No listeners", "$1 is all there is" },
	{ LISTEN, SNI("'*.a.b'", "tunnel_route: $12:1"), 2, "# No listeners",
	  "$1 is all there is" },
	{ LISTEN, SNI("a.b", "tunnel_route: 'c:{proxy_protocol_port}'"), 2, "# No listeners",
	  "the port a PROXY header names" },
	{ LISTEN, SNI("a.b", "tunnel_route: c:1\n  ip_allow: '@file.txt'"), 2, "# No listeners",
	  "s.yaml:4:3: warning: ip_allow: '@file.txt' is a file that cannot be read, so this" },
	{ LISTEN, SNI("a.b", "tunnel_route: c:1\n  ip_allow: '@'"), 2, "# No listeners",
	  "'@' is a file that cannot be read" },
	{ LISTEN, SNI("a.b", "tunnel_route: c:1\n  ip_allow: '@/dev/zero'"), 2, "# No listeners",
	  "'@/dev/zero' is a file that cannot be read" },
	{ LISTEN, SNI("a.b", "tunnel_route: c:1\n  ip_allow: '10.0.0.1,@x'"), 2, "# No listeners",
	  "'@x' cannot be said in networks" },
	{ LISTEN, SNI("a.b", "tunnel_route: c:1\n  ip_allow: fd00::1-fd00::9"), 2, "# No listeners",
	  "'fd00::1-fd00::9' cannot be said in networks" },
	{ LISTEN, SNI("a.b", "tunnel_route: c:1\n  ip_allow: []"), 2, "# No listeners",
	  "ip_allow: '' names nobody" },
	{ LISTEN, SNI("a.b", "tunnel_route: c:1\n  inbound_port_ranges: 1-9"), 2, "# No listeners",
	  "s.yaml:2:3: warning: fqdn a.b: no listener has a port of its inbound_port_ranges" },
	{ LISTEN "CONFIG proxy.config.http.connect_ports STRING 6651\n",
	  SNI("a.b", "tunnel_route: c"), 2, "# No listeners",
	  "s.yaml:3:3: warning: tunnel_route of a.b, port 443: leads to the port clients come to" },
	{ LISTEN "CONFIG proxy.config.http.connect_ports STRING 1-60000\n",
	  SNI("a.b", "tunnel_route: c:1"), 1, "{ host: \"a.b\"",
	  "r:2:1: warning: connect_ports: 1-60000: allow_ports takes at most 1024 ports" },
	{ LISTEN "CONFIG proxy.config.http.connect_ports STRING 1-1000 2000-2999\n",
	  SNI("a.b", "tunnel_route: c:1"), 1, "2022, 2023]  # r:2\n",
	  "connect_ports: 2000-2999: beyond the 1024 ports" },
	{ LISTEN "CONFIG proxy.config.http.wait_for_cache INT 1\n"
		 "CONFIG proxy.config.wombat INT 1\n",
	  SNI("a.b", "tunnel_route: c:1"), 2, "{ host: \"a.b\"",
	  "r:3:1: warning: proxy.config.wombat: has no counterpart here\n" },
	{ "CONFIG proxy.config.http.server_ports STRING 443:ssl:pp:wombat 443:quic\n",
	  SNI("a.b", "tunnel_route: c:1"), 3, "{ host: \"a.b\"",
	  "server_ports: pp of 443:ssl:pp:wombat: a PROXY header comes first: add" },
	/* What an entry that is left behind would have taken. */
	{ LISTEN,
	  "sni:\n- {fqdn: a.b, forward_route: x:1}\n- {fqdn: a.b, tunnel_route: y:1}\n"
	  "- {fqdn: '*.b', tunnel_route: z:1}\n",
	  2, "forward: \"z:1\" }  # s.yaml:4\n",
	  "s.yaml:2:4: warning: fqdn a.b: is left out, so on port 443 its clients fall under *.b" },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		const struct file files[] = { { "s.yaml", rows[i].sni }, { "r", rows[i].records } };
		size_t count = rows[i].records[0] != '\0' ? 2 : 1;
		struct result result = import(files, count);

		if (result.left != rows[i].left)
			fail_msg("row %zu: %u left\n%s", i, result.left, result.said);
		assert_has(result.yaml, rows[i].yaml);
		assert_has(result.said, rows[i].said);
		result_free(&result);
	}
}

/* ---- where TLS ends -------------------------------------------------------------------------- */

#define CERTS \
	"# the default comes first\nssl_cert_name=b.pem\ndest_ip=* ssl_cert_name=\"a.pem\" ssl_key_name=a.key\n"
#define SSL	"CONFIG proxy.config.ssl."
#define FOLDERS SSL "server.cert.path STRING /c\n" SSL "server.private_key.path STRING /k/\n"
#define PAIRS	"cert_file: [/c/a.pem, /c/b.pem], key_file: [/k/a.key, /c/b.pem]"
#define OUT                                                     \
	SSL "client.verify.server.policy STRING ENFORCED\n" SSL \
	    "client.CA.cert.filename STRING /ca\n"

#define OPENSSL_128   "ECDHE-RSA-AES128-GCM-SHA256"
#define OPENSSL_256   "ecdhe-rsa-aes256-gcm-sha384"
#define REGISTERED_13 "TLS_AES_128_GCM_SHA256, TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256"

/* records.* behind LISTEN FOLDERS, what an entry for a.b says, how many are left, and parts. */
static const struct row tls_rows[] = {
	{ "", "forward_route: c:1", 0,
	  "    tls: { " PAIRS " }\n    routes:\n      - { host: \"a.b\", forward: \"c:1\", mode: "
	  "terminate }  # s.yaml:2\n",
	  "" },
	{ "", "forward_route: c:1\n  verify_client: STRICT\n  verify_client_ca_certs: /ca", 0,
	  "    routes:\n      - { host: \"a.b\", forward: \"c:1\", mode: terminate, tls: { " PAIRS
	  ", client_auth: require, client_ca_file: /ca } }  # s.yaml:2\n",
	  "" },
	{ "",
	  "forward_route: c:1\n  verify_client: MODERATE\n  verify_client_ca_certs: { file: /ca }",
	  0, ", client_auth: optional, client_ca_file: /ca } }", "" },
	{ "",
	  "forward_route: c:1\n  verify_client: STRICT\n  verify_client_ca_certs: { dir: , file: "
	  "/ca }",
	  0, ", client_auth: require, client_ca_file: /ca } }", "" },
	{ "",
	  "forward_route: c:1\n  verify_client: STRICT\n  verify_client_ca_certs: { file: /ca, dir: "
	  "/d }",
	  2, "# No listeners", "verify_client_ca_certs with keys below it" },
	{ SSL "client.certification_level INT 2\n" SSL "CA.cert.path STRING /d\n" SSL
	      "CA.cert.filename STRING ca.pem\n",
	  "forward_route: c:1", 0, ", client_auth: require, client_ca_file: /d/ca.pem } }", "" },
	{ SSL "client.certification_level INT 2\n", "forward_route: c:1\n  verify_client: NONE", 0,
	  "mode: terminate }", "" },
	{ "", "forward_route: c:1\n  valid_tls_version_min_in: TLSv1_3", 0,
	  ", min_version: 1.3 } }", "" },
	{ "", "forward_route: c:1\n  valid_tls_version_max_in: TLSv1_2\n  ssl_ticket_enabled: 0", 0,
	  ", max_version: 1.2, tickets: false } }", "" },
	{ "", "forward_route: c:1\n  valid_tls_version_min_in: TLSv1_1", 1, "mode: terminate }",
	  "valid_tls_version_min_in: TLSv1_1: penstock speaks TLS from 1.2 on" },
	/* Targets. ATS lets them pass unless told otherwise. */
	{ "", "partial_blind_route: c:1", 0, "mode: reencrypt, broker_tls: { verify: off } }", "" },
	{ "", "partial_blind_route: c:1", 0, "#   s.yaml:3: fqdn a.b: ATS lets targets pass", "" },
	{ OUT, "partial_blind_route: c:1", 0, "broker_tls: { verify: full, ca_file: /ca } }", "" },
	{ OUT, "partial_blind_route: c:1\n  verify_server_properties: SIGNATURE", 0,
	  "broker_tls: { verify: ca, ca_file: /ca } }", "" },
	{ "", "partial_blind_route: c:1\n  verify_server_policy: ENFORCED", 0,
	  "broker_tls: { verify: full, ca_file: /etc/", "" },
	{ OUT,
	  "partial_blind_route: c:1\n  client_cert: /x.pem\n  client_key: /x.key\n  "
	  "tunnel_alpn: [h2, http/1.1]\n  client_sni_policy: server_name",
	  0,
	  ", alpn: [h2, http/1.1] }, broker_tls: { verify: full, ca_file: /ca, cert_file: /x.pem, "
	  "key_file: /x.key, alpn: [h2, http/1.1], name: client } }",
	  "" },
	{ OUT SSL "client.cert.path STRING /o\n" SSL "client.cert.filename STRING o.pem\n",
	  "partial_blind_route: c:1", 0, "cert_file: /o/o.pem, key_file: /o/o.pem } }", "" },
	/* What cannot be kept as strict as it was. */
	{ "", "forward_route: c:1\n  verify_client: STRICT", 2, "# No listeners",
	  "s.yaml:4:3: warning: fqdn a.b: 'STRICT': no file says who signs clients' certificates "
	  "(verify_client_ca_certs), so this route is left out\n" },
	{ "", "forward_route: c:1\n  verify_client: STRICT\n  verify_client_ca_certs: { dir: /ca }",
	  2, "# No listeners", "verify_client_ca_certs with keys below it" },
	{ "", "forward_route: c:1\n  verify_client: maybe", 2, "# No listeners",
	  "'maybe': is neither NONE, MODERATE nor STRICT, so" },
	{ "", "forward_route: c:1\n  valid_tls_version_max_in: TLSv1_1", 2, "# No listeners",
	  "'TLSv1_1': is no version of TLS that penstock speaks" },
	{ OUT, "partial_blind_route: c:1\n  verify_server_properties: NAME", 2, "# No listeners",
	  "'NAME': a name that nobody has signed for cannot be checked alone" },
	{ OUT, "partial_blind_route: c:1\n  client_sni_policy: '@x'", 2, "# No listeners",
	  "'@x': a name of its own cannot be sent to the target" },
	{ SSL "client.cert.path STRING etc\n" OUT, "partial_blind_route: c:1\n  client_cert: x", 2,
	  "# No listeners", "'x': where that is cannot be said" },
	/* Left behind. */
	{ OUT, "forward_route: c:1\n  client_cert: /x", 3, "mode: terminate }",
	  "s.yaml:4:3: warning: client_cert: /x: behind a forward_route there is no TLS\n" },
	{ "", "tunnel_route: c:1", 3, "{ host: \"a.b\", forward: \"c:1\" }",
	  "certificates: no entry ends TLS, so none is needed\n" },
	/* Ciphers: those that are spoken here, by name. */
	{ "", "forward_route: c:1\n  server_cipher_suite: " OPENSSL_128 "," OPENSSL_256, 0,
	  "ciphers: [" REGISTERED_13 ", TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "
	  "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384] } }",
	  "" },
	{ "",
	  "forward_route: c:1\n  server_cipher_suite: " OPENSSL_128
	  "\n  server_TLSv1_3_cipher_suites: TLS_AES_128_GCM_SHA256",
	  0, "ciphers: [TLS_AES_128_GCM_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256] } }", "" },
	{ SSL "server.cipher_suite STRING " OPENSSL_256 ":" OPENSSL_128 ":AES128-SHA:!aNULL\n",
	  "forward_route: c:1", 1, "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384] } }",
	  "r:4:1: warning: ciphers: 'AES128-SHA' and others: not a suite that is spoken here; see "
	  "tls.ciphers\n" },
	{ SSL "server.cipher_suite STRING AES128-SHA\n",
	  "forward_route: c:1\n- fqdn: b.b\n  forward_route: c:1\n  server_cipher_suite: "
	  "ECDHE-ECDSA-CHACHA20-POLY1305",
	  1, "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256] } }  # s.yaml:4\n",
	  "'AES128-SHA': not a suite that is spoken here, so all those are taken" },
	{ SSL "server.cipher_suite STRING AES128-SHA\n",
	  "forward_route: c:1\n- fqdn: b.b\n  forward_route: c:1", 1,
	  "{ host: \"b.b\", forward: \"c:1\", mode: terminate }", "'AES128-SHA'" },
	{ "", "forward_route: c:1\n  server_cipher_suite: '" OPENSSL_128 "::ECDHE+AESGCM'", 1,
	  "mode: terminate }", "'ECDHE+AESGCM': not a suite that is spoken here, so all those" },
	{ "", "forward_route: c:1\n  server_TLSv1_3_cipher_suites: " OPENSSL_128, 1,
	  "mode: terminate }", "'" OPENSSL_128 "': not a suite" },
	{ OUT SSL "client.cipher_suite STRING " OPENSSL_128 "\n" SSL
		  "client.TLSv1_3.cipher_suites STRING TLS_AES_128_GCM_SHA256\n",
	  "partial_blind_route: c:1", 0,
	  "broker_tls: { verify: full, ca_file: /ca, ciphers: [TLS_AES_128_GCM_SHA256, "
	  "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256] } }",
	  "" },
	{ SSL "server.cipher_suite STRING HIGH\n",
	  "tunnel_route: c:1\n  server_cipher_suite: " OPENSSL_128, 5, "forward: \"c:1\" }",
	  "s.yaml:4:3: warning: server_cipher_suite: " OPENSSL_128
	  ": ciphers are the target's business, in a tunnel\n" },
};

static void test_tls(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(tls_rows); i++) {
		char records[700], sni[500];
		const struct file files[] = { { "s.yaml", sni },
					      { "ssl_multicert.config", CERTS },
					      { "r", records } };

		snprintf(records, sizeof(records), LISTEN FOLDERS "%s", tls_rows[i].records);
		snprintf(sni, sizeof(sni), SNI("a.b", "%s"), tls_rows[i].sni);
		struct result result = import(files, COUNT_OF(files));

		if (result.left != tls_rows[i].left)
			fail_msg("row %zu: %u left\n%s\n%s", i, result.left, result.said,
				 result.yaml);
		assert_has(result.yaml, tls_rows[i].yaml);
		assert_has(result.said, tls_rows[i].said);
		result_free(&result);
	}
}

/* `ip_allow: "@file"`: beside the file that names it, in lines or with commas. */
static void test_networks_of_a_file(void **state)
{
	static const char list[] = "10.0.0.0/8,192.168.10.1-192.168.10.4\r\n2001:db8::/32\n";
	static const char comment[] = "10.0.0.0/8\n# and nobody else\n";
	const struct file files[] = { { "s.yaml",
					SNI("a.b", "tunnel_route: c:1\n  ip_allow: '@list.txt'") },
				      { "r", LISTEN } };
	const struct file other[] = {
		{ "s.yaml", SNI("a.b", "tunnel_route: c:1\n  ip_allow: '@comment.txt'") },
		{ "r", LISTEN }
	};

	(void)state;
	help_write("list.txt", list, strlen(list));
	help_write("comment.txt", comment, strlen(comment));
	struct result result = import(files, COUNT_OF(files));

	assert_int_equal(result.left, 0);
	assert_has(result.yaml, "allow: [\"10.0.0.0/8\", \"192.168.10.1/32\", \"192.168.10.2/31\", "
				"\"192.168.10.4/32\", \"2001:db8::/32\"] }");
	assert_has(result.yaml, "#   s.yaml:4: ip_allow: list.txt: what is in that file now");
	result_free(&result);
	result = import(other, COUNT_OF(other));
	assert_int_equal(result.left, 2);
	assert_has(result.said, "ip_allow: '#' cannot be said in networks, so this route is left");
	result_free(&result);
}

/* ssl_multicert.config, without folders in records: what it says, how many are left, and parts. */
static const struct row cert_rows[] = {
	{ "ssl_cert_name=/a ssl_key_name=/b\n", "", 0, "cert_file: [/a], key_file: [/b]", "" },
	{ "ssl_cert_name=/a,/b ssl_key_name=/c,/d\n", "", 1, "cert_file: [/a], key_file: [/c]",
	  "m:1:1: warning: ssl_cert_name: the certificates behind the first one: " },
	{ "dest_ip=10.0.0.1 ssl_cert_name=/a ssl_ca_name=x\n", "", 2, "cert_file: [/a]",
	  "m:1:1: warning: dest_ip: 10.0.0.1: a certificate by address" },
	{ "ssl_cert_name=/a\nssl_cert_name=/b ssl_key_dialog=\"exec:/x y\"\n", "", 1,
	  "cert_file: [/a], key_file: [/a]",
	  "ssl_key_dialog: exec:/x y: this certificate is left" },
	{ "ssl_cert_name=/a\ndest_ip=* ssl_cert_name=/b\ndest_ip=* ssl_cert_name=/c\n", "", 0,
	  "cert_file: [/b, /a, /c]", "" },
	{ "ssl_cert_name=/a/\x01\nssl_cert_name=/b\n", "", 1, "cert_file: [/b]",
	  "where that is, or its key, cannot be said" },
};

static void test_certificates(void **state)
{
	char cwd[4096], own[4200];

	(void)state;
	for (size_t i = 0; i < COUNT_OF(cert_rows); i++) {
		const struct file files[] = { { "m", cert_rows[i].records },
					      { "s.yaml", SNI("a.b", "forward_route: c:1") },
					      { "r", LISTEN } };
		struct result result = import(files, COUNT_OF(files));

		if (result.left != cert_rows[i].left)
			fail_msg("row %zu: %u left\n%s", i, result.left, result.said);
		assert_has(result.yaml, cert_rows[i].yaml);
		assert_has(result.said, cert_rows[i].said);
		result_free(&result);
	}
	/* Beside the file that names them, where ATS has them by default. */
	const struct file files[] = { { "ssl_multicert.config", "ssl_cert_name=a.pem\n" },
				      { "s.yaml", SNI("a.b", "forward_route: c:1") },
				      { "r", LISTEN } };
	struct result result = import(files, COUNT_OF(files));

	assert_non_null(getcwd(cwd, sizeof(cwd)));
	snprintf(own, sizeof(own), "cert_file: [%s/a.pem]", cwd);
	assert_has(result.yaml, own);
	result_free(&result);
	/* As many as tls.cert_file takes. */
	char *text = repeat("", "ssl_cert_name=/#\n", 65);
	const struct file many[] = { { "m", text },
				     { "s.yaml", SNI("a.b", "forward_route: c:1") },
				     { "r", LISTEN } };

	result = import(many, COUNT_OF(many));
	assert_int_equal(result.left, 1);
	assert_has(result.said, "ssl_cert_name: /65: more than 64 certificates");
	result_free(&result);
	free(text);
}

/* ---- what cannot be understood --------------------------------------------------------------- */

/* A file, and how the complaints about it begin. */
static const struct {
	struct file file;
	const char *said;
} wrong[] = {
	{ { "a.txt", "hello\n" }, "a.txt: is none of the files that can be imported" },
	{ { "a.txt", "" }, "a.txt: is none of the files" },
	{ { "records.config", "CONFIG a\n" },
	  "records.config:1:1: 'CONFIG a' is no setting; write CONFIG name TYPE value" },
	{ { "records.config", "# x\nCONFIG a STRING b\nCONFIG a TEXT b\n" },
	  "records.config:2:1: warning: a: has no counterpart here\nrecords.config:3:1: 'CONFIG a "
	  "TEXT b' is no setting" },
	{ { "records.config", "wombat" }, "records.config:1:1: 'wombat' is no setting" },
	{ { "r", "CONFIG proxy.config.http.server_ports STRING ssl\n" },
	  "r:1:1: server_ports: ssl has no port from 1 to 65535; write 443:ssl\n" },
	{ { "r", "CONFIG proxy.config.http.server_ports STRING 443:ssl:ip-in=x\n" },
	  "r:1:1: server_ports: ip-in=x of 443:ssl:ip-in=x is no address" },
	{ { "r", "CONFIG proxy.config.http.server_ports STRING "
		 "1:ip-in=1.1.1.1:ip-in=1.1.1.2:ip-in=[::1]\n" },
	  "r:1:1: server_ports: ip-in=::1 of 1:ip" },
	{ { "r", "CONFIG proxy.config.http.connect_ports STRING 443 x\n" },
	  "r:1:1: connect_ports: 'x' is neither a port nor a range of ports; write" },
	{ { "r", "CONFIG proxy.config.http.connect_ports STRING 9-1\n" },
	  "r:1:1: connect_ports: '9-1' is neither" },
	{ { "ssl_multicert.config", "wombat\n" },
	  "ssl_multicert.config:1:1: 'wombat' where ssl_cert_name=FILE should be\n" },
	{ { "x", "dest_ip=*\n" }, "x:1:1: '' where ssl_cert_name=FILE should be\n" },
	{ { "s.yaml", "sni:\n- {fqdn: a, verify_client: NONE, verify_client: NONE}\n" },
	  "s.yaml:2:34: verify_client: is there twice; remove one of them\n" },
	{ { "s.yaml", "wombat" }, "s.yaml:1:1: a single value; name sni.yaml" },
	{ { "s.yaml", "wombat: 1\n" }, "s.yaml:1:1: neither sni: nor records:; name" },
	{ { "s.yaml", "{[a]: 1}\n" }, "s.yaml:1:2: neither sni: nor records:" },
	{ { "s.yaml", "sni: 1\n" },
	  "s.yaml:1:6: no list; write entries that begin with '- fqdn: '\n" },
	{ { "s.yaml", "sni:\n- a\n" },
	  "s.yaml:2:3: an entry that is no mapping; write fqdn: and tunnel_route:" },
	{ { "s.yaml", "sni:\n- {[a]: b}\n" },
	  "s.yaml:2:4: a key that is no word; write one, like fqdn\n" },
	{ { "s.yaml", "sni:\n- {fqdn: a, fqdn: b}\n" },
	  "s.yaml:2:13: fqdn: is there twice; remove one of them\n" },
	{ { "s.yaml", "sni:\n- {fqdn: {a: b}}\n" },
	  "s.yaml:2:4: fqdn: has keys below it; write one value\n" },
	{ { "s.yaml", "sni:\n- {fqdn: a, inbound_port_ranges: 0}\n" },
	  "s.yaml:2:13: inbound_port_ranges: '0' is neither a port nor a range of ports" },
	{ { "s.yaml", "sni:\n- {fqdn: a, inbound_port_ranges: [1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,"
		      "16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31,32,33]}\n" },
	  "s.yaml:2:13: inbound_port_ranges: more than 32; name fewer\n" },
	{ { "s.yaml", "sni: [\n" }, "s.yaml:2:1: not YAML: " },
	{ { "s.yaml", "sni: &a []\n" }, "s.yaml:1:6: anchors (&a) are not taken; remove it\n" },
	{ { "s.yaml", "sni: []\n---\nsni: []\n" }, "s.yaml:2:1: a second document begins" },
	{ { "s.yaml", "sni:\n- fqdn: \xff\n" }, "s.yaml:2:9: " },
	{ { "r.yaml", "records: 1\n" },
	  "r.yaml:1:10: no mapping; write settings below records:, indented\n" },
	{ { "r.yaml", "records: { a: [1] }\n" }, "r.yaml:1:15: a list; write single values\n" },
	{ { "r.yaml", "records: { [a]: 1 }\n" },
	  "r.yaml:1:12: a key that is no word, or too long a one; write a setting of ATS\n" },
	{ { "r.yaml",
	    "records: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: {a: "
	    "1}}}}}}}}}}}}}}}}}\n" },
	  "r.yaml:1:74: keys below keys, too deep; write single values\n" },
	{ { "x", "server_config" }, "x:1:14: the file ends where '=' should be\n" },
	{ { "x", "server_config = 1" },
	  "x:1:17: '1' where '{' should be; only a table of plain values can be imported\n" },
	{ { "x", "server_config = {\n  1 }" },
	  "x:2:3: '1' where '{', the beginning of an entry, should be" },
	{ { "x", "server_config = { { 'a' } }" }, "x:1:21: 'a' where a key, like fqdn, should be" },
	{ { "x", "server_config = { { [a] = 'a' } }" },
	  "x:1:22: 'a' where a key, like fqdn, should be" },
	{ { "x", "server_config = { { ['a' = 'a' } }" }, "x:1:26: '=' where ']' should be" },
	{ { "x", "server_config = { { fqdn 'a' } }" }, "x:1:26: 'a' where '=' should be" },
	{ { "x", "server_config = { { fqdn = {} } }" },
	  "x:1:28: '{' where a text in quotes or a number should be" },
	{ { "x", "server_config = { { fqdn = f() } }" },
	  "x:1:28: 'f' where a text in quotes or a number should be" },
	{ { "x", "server_config = { { fqdn = 'a' .. 'b' } }" },
	  "x:1:32: '..' where ',' or '}' should be" },
	{ { "x", "server_config = { { fqdn = 'a' } { } }" },
	  "x:1:21: warning: fqdn a: has no tunnel_route: ATS ends TLS and serves HTTP there, "
	  "penstock does neither\nx:1:34: '{' where ',' or '}' should be" },
	{ { "x", "server_config = { { fqdn = 'a } }\n" },
	  "x:1:28: a text that does not end in its line; close its quote\n" },
	{ { "x", "server_config = { { fqdn = 'a\\n' } }\n" },
	  "x:1:28: a backslash in a text; write the character itself\n" },
	{ { "x", "server_config = { { fqdn = 'a', fqdn = 'b' } }\n" },
	  "x:1:33: fqdn: is there twice; remove one of them\n" },
	{ { "x", "server_config = { }; server_config = { }\n" },
	  "x:1:22: 'server_config' where the end should be" },
	{ { "x.lua", "local a = 1\n" }, "x.lua:1:1: 'local' where server_config should be" },
};

static void test_wrong(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrong); i++) {
		struct result result = import(&wrong[i].file, 1);
		const char *said = wrong[i].said;

		if (strncmp(result.said, said, strlen(said)) != 0)
			fail_msg("%s\nsaid\n%s\nnot\n%s", wrong[i].file.text, result.said, said);
		assert_false(result.is_fine);
		result_free(&result);
	}
}

/* Nothing set, and nothing to say about it. */
static void test_empty(void **state)
{
	static const struct file rows_of_none[] = {
		{ "sni.yaml", "" },
		{ "sni.yaml", "# all comments\n" },
		{ "sni.yaml", "sni: ~\n" },
		{ "records.yaml", "records:\n" },
		{ "records.config", "# none\n" },
		{ "ssl_server_name.conf", "-- none\n" },
		{ "x", "server_config={};--[[ open" },
		{ "x", "\xef\xbb\xbfsni: []\n" },
		{ "x.lua", "--[[ a\n b]]#c\nserver_config={}--[[d]]" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(rows_of_none); i++) {
		struct result result = import(&rows_of_none[i], 1);

		assert_true(result.is_fine);
		assert_int_equal(result.left, 0);
		assert_string_equal(result.said, "");
		assert_has(result.yaml, "# No listeners");
		result_free(&result);
	}
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static char *repeat(const char *head, const char *line, uint32_t count)
{
	char *text = NULL;
	FILE *out = memory(&text);

	fputs(head, out);
	for (uint32_t i = 1; i <= count; i++)
		for (const char *at = line; *at != '\0'; at++)
			if (*at == '#')
				fprintf(out, "%u", i);
			else
				fputc(*at, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void test_bounds(void **state)
{
	static const struct {
		const char *head, *line;
		uint32_t count;
		bool is_fine;
		const char *said;
	} many[] = {
		{ "sni:\n", "- {fqdn: a#.b, tunnel_route: c:1}\n", 4096, true, "is a guess" },
		{ "sni:\n", "- {fqdn: a#.b, tunnel_route: c:1}\n", 4097, false,
		  "s.yaml:4098:4: more than 4096 entries; import them in parts" },
		{ "sni:\n", "- {fqdn: '*.a#.b', tunnel_route: $1.c#.d:1}\n", 1025, true,
		  "egress.allow takes no more ports or hosts" },
		{ "sni:\n- {fqdn: a.b, tunnel_route: c:1\n", " ,wombat#: 1\n", 10100, true, "" },
		{ "sni:\n- {fqdn: a.b, tunnel_route: c:1, ip_allow: [\n", "10.0.0.#,\n", 200, true,
		  "" },
		{ "CONFIG proxy.config.http.server_ports STRING", " #:ssl", 33, true,
		  "port 33: more than 32 listeners" },
		{ "CONFIG proxy.config.http.connect_ports STRING", " #", 1025, true,
		  "connect_ports: 1025: beyond the 1024 ports" },
		{ "CONFIG x", "\nwombat #", 100, false, "'wombat 19' is no setting" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(many); i++) {
		char *text = repeat(many[i].head, many[i].line, many[i].count);
		const char *tail = i == 3 ? "}\n" : i == 4 ? "]}\n" : "\n";
		char *whole = malloc(strlen(text) + strlen(tail) + 1);

		assert_non_null(whole);
		snprintf(whole, strlen(text) + strlen(tail) + 1, "%s%s", text, tail);
		const struct file file = { "s.yaml", whole };
		struct result result = import(&file, 1);

		if (result.is_fine != many[i].is_fine)
			fail_msg("row %zu: %.2000s", i, result.said);
		assert_has(result.said, many[i].said);
		assert_has_not(result.said, "wombat 20'");
		if (i == 3) {
			assert_int_equal(result.left, 10101);
			assert_has(result.yaml, "#   and 9101 more, named on standard error\n");
		}
		result_free(&result);
		free(whole);
		free(text);
	}
}

/* More routes than penstock takes, because there are several listeners. */
static void test_too_many_routes(void **state)
{
	char *text = repeat("sni:\n", "- {fqdn: a#.b, tunnel_route: c:1}\n", 3000);
	const struct file files[] = {
		{ "r", "CONFIG proxy.config.http.server_ports STRING 443:ssl 444:ssl\n" },
		{ "s.yaml", text },
	};
	struct result result = import(files, 2);

	(void)state;
	assert_int_equal(result.left, 6000 - CONFIG_ROUTES_MAX);
	assert_has(result.said, "as many routes as penstock takes");
	result_free(&result);
	free(text);
}

/* A result that config_load would refuse for its length. */
static void test_too_long(void **state)
{
	char *text = repeat("sni:\n",
			    "- {fqdn: a#.b, tunnel_route: c:1, ip_allow: 10.0.0.1-10.0.255.254}\n",
			    3000);
	const struct file file = { "s.yaml", text };
	struct result result = import(&file, 1);

	(void)state;
	assert_false(result.is_fine);
	assert_has(result.said, "penstock.yaml would be longer than 1048576 bytes; import fewer");
	result_free(&result);
	free(text);
}

/* Cut off anywhere: never a crash, and what is written is taken. */
static void test_cut_off(void **state)
{
	static const struct file all[] = {
		{ "records.config", records_text },	   { "records.yaml", records_yaml_text },
		{ "ssl_server_name.conf", lua_text },	   { "sni.yaml", sni_text },
		{ "ssl_server_name.yaml", old_yaml_text }, { "rich.yaml", rich_text },
	};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(all); i++)
		for (size_t len = 0; len < strlen(all[i].text); len++) {
			struct result result = import_len(&all[i], 1, len);

			result_free(&result);
		}
}

/* By the door users take. */
static void test_files(void **state)
{
	static const char *const paths[] = { "sni.yaml", "records.config" };
	static const char *const missing[] = { "sni.yaml", "missing" };
	static const char *const large[] = { "large.yaml" };
	char *yaml = NULL, *said = NULL, *text = repeat("sni:\n", "#", 300000);
	struct config_errors errors = { .out = memory(&said) };
	FILE *out = memory(&yaml);
	uint32_t left = 77;

	(void)state;
	help_write("sni.yaml", sni_text, strlen(sni_text));
	help_write("records.config", records_text, strlen(records_text));
	help_write("large.yaml", text, strlen(text));
	assert_false(config_import(missing, 2, &errors, out, &left));
	assert_false(config_import(large, 1, &errors, out, &left));
	assert_int_equal(left, 77);
	assert_int_equal(fclose(errors.out), 0);
	assert_has(said, "missing: cannot be opened: ");
	assert_has(said, "large.yaml: is longer than 1048576 bytes; is it the right file?\n");
	errors = (struct config_errors){ .out = NULL };
	assert_true(config_import(paths, 2, &errors, out, &left));
	assert_int_equal(left, 3);
	assert_int_equal(fclose(out), 0);
	free(loaded(yaml));
	free(yaml);
	free(said);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples), cmocka_unit_test(test_said),
		cmocka_unit_test(test_rich),	 cmocka_unit_test(test_rows),
		cmocka_unit_test(test_tls),	 cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_wrong),	 cmocka_unit_test(test_empty),
		cmocka_unit_test(test_bounds),	 cmocka_unit_test(test_too_many_routes),
		cmocka_unit_test(test_too_long), cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_files),	 cmocka_unit_test(test_networks_of_a_file),
	};

	return cmocka_run_group_tests(tests, help_setup, NULL);
}
