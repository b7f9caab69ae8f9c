/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * cli_doctor_config: the configuration as `penstock check` sees it, when our certificates run out,
 * and whether the kernel can do what it says about TLS.
 */
#include <stdlib.h>
#include <time.h>

#include <penstock/base/err.h>

#include "cli_doctor.h"

struct config *cli_doctor_load(struct doctor *doctor)
{
	size_t size = 0;
	struct config_errors errors = { .out = open_memstream(&doctor->said, &size) };

	if (errors.out == NULL)
		return NULL;
	struct config *config = config_load(doctor->config_path, &errors);

	if (config != NULL) {
		/* That certificates run out is said by a check of its own. */
		uint64_t before_ns = config->certificates.warn_before_ns;

		config->certificates.warn_before_ns = CONFIG_OFF;
		doctor->tls = tls_set_new(config, NULL, &errors);
		config->certificates.warn_before_ns = before_ns;
		/* What a running penstock saved is its own, and says nothing of today. */
		config->state_dir = NULL;
		config_budget(config, &doctor->budget);
	}
	(void)fclose(errors.out);
	doctor->config = config;
	return config;
}

/* Each line of what config_error and config_warn wrote: "file:1:2: warning: what; remedy". */
static void line_say(struct doctor *doctor, char *line)
{
	static const char mark[] = "warning: ";
	char *warning = strstr(line, mark);

	if (warning == NULL) {
		cli_doctor_say(doctor, DOCTOR_STOP, "%s", line);
		return;
	}
	cli_doctor_say(doctor, DOCTOR_WARN, "%.*s%s", (int)(warning - line), line,
		       warning + strlen(mark));
}

void cli_doctor_config(struct doctor *doctor)
{
	const struct config *config = doctor->config;

	if (config != NULL && doctor->tls != NULL)
		cli_doctor_say(doctor, DOCTOR_OK, "%s: %u cluster%s, %u listener%s, %u route%s",
			       doctor->config_path, config->cluster_count,
			       config->cluster_count == 1 ? "" : "s", config->listener_count,
			       config->listener_count == 1 ? "" : "s", config->route_count,
			       config->route_count == 1 ? "" : "s");
	for (char *line = doctor->said, *end; line != NULL && (end = strchr(line, '\n')) != NULL;
	     line = end + 1) {
		*end = '\0';
		line_say(doctor, line);
	}
	if (config != NULL)
		return;
	cli_doctor_say(doctor, DOCTOR_STOP,
		       "without a configuration, limits, CPUs, brokers and certificates were not "
		       "looked at");
	cli_doctor_remedy(doctor, "fix %s and run doctor again", doctor->config_path);
}

void cli_doctor_certificates(struct doctor *doctor)
{
	time_t now = time(NULL);
	uint32_t count;
	const struct tls_expiry *expiries = tls_set_expiries(doctor->tls, &count);

	for (uint32_t i = 0; i < count; i++) {
		const struct tls_expiry *expiry = &expiries[i];
		bool is_over = expiry->when < now;
		bool is_near = tls_expiry_is_near(doctor->config, expiry->when, now);
		char text[80];

		tls_expiry_text(expiry, now, text, sizeof(text));
		cli_doctor_say(doctor,
			       is_over	 ? DOCTOR_FAIL
			       : is_near ? DOCTOR_WARN
					 : DOCTOR_OK,
			       "%s: %s: %s", expiry->place, expiry->file, text);
		if (is_near || is_over)
			cli_doctor_remedy(doctor, "put a new one in its place; it is taken up "
						  "within certificates.refresh");
	}
}

/* ---- the kernel's TLS ----------------------------------------------------------------------- */

static bool is_required(const struct config *config)
{
	bool is_any = false;

	for (uint32_t i = 0; i < config->listener_count; i++)
		is_any |= config->listeners[i].tls.cert_files.count > 0 &&
			  config->listeners[i].tls.ktls == CONFIG_KTLS_REQUIRE;
	for (uint32_t i = 0; i < config->route_count; i++)
		is_any |= (config->routes[i].tls.cert_files.count > 0 &&
			   config->routes[i].tls.ktls == CONFIG_KTLS_REQUIRE) ||
			  (config_tls_is_on(&config->routes[i].broker_tls) &&
			   config->routes[i].broker_tls.ktls == CONFIG_KTLS_REQUIRE);
	for (uint32_t i = 0; i < config->cluster_count; i++)
		is_any |= config_speaks_tls(&config->clusters[i]) &&
			  config->clusters[i].broker_tls.ktls == CONFIG_KTLS_REQUIRE;
	return is_any;
}

void cli_doctor_ktls(struct doctor *doctor)
{
	const struct tls_features *features = &doctor->host.tls;

	if (doctor->config == NULL)
		return;
	if (!config_has_tls(doctor->config)) {
		cli_doctor_say(doctor, DOCTOR_OK, "no TLS ends or begins here: not needed");
		return;
	}
	if (features->err != 0) {
		cli_doctor_say(doctor, is_required(doctor->config) ? DOCTOR_FAIL : DOCTOR_WARN,
			       "the kernel offers no TLS (%s): %s", err_text(features->err),
			       is_required(doctor->config)
				       ? "those with ktls: require are closed"
				       : "records stay in user space and are not spliced");
		cli_doctor_remedy(doctor,
				  "modprobe tls (the packages' units have it done at their start); "
				  "where there is no such module: another kernel, or ktls: off");
		return;
	}
	cli_doctor_say(doctor, features->can_rekey ? DOCTOR_OK : DOCTOR_WARN, "%s",
		       features->can_rekey
			       ? "the kernel takes TLS connections, and changes of keys"
			       : "the kernel takes TLS 1.2; TLS 1.3 stays in user space, since it "
				 "cannot follow changes of keys");
	if (!features->can_rekey)
		cli_doctor_remedy(doctor, "Linux 6.14, or ktls_rekey: close where peers never "
					  "change keys");
}
