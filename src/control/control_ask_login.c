/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_ask_login: see control_ask.h. Who penstock is when it asks for itself: discovery.sasl has
 * a user for that; or else, where penstock authenticates in the place of clients, it is whom
 * broker_sasl.users_file has for everybody. Other lines of that are for certificates, and penstock
 * shows itself none.
 */
#include <stdio.h>
#include <string.h>

#include "control_priv.h"

struct asker {
	const struct config_client *user; /* NULL: there is nobody to be */
	enum sasl_mechanism mechanism;
	const char *key; /* where that is written */
};

static struct asker whom(const struct control_ask *ask)
{
	const struct config *config = control_config(ask->control);
	const struct config_tokens *tokens = ask->control->config->tokens;

	for (uint32_t i = 0; i < config->cluster_count; i++) {
		const struct config_cluster *cluster = &config->clusters[i];

		if (strcmp(cluster->name, ask->cluster) != 0)
			continue;
		const struct config_clients *own = config_asker(config, tokens, i);
		const struct config_clients *users = config_users(config, tokens, i);

		if (own != NULL)
			return (struct asker){ config_clients_any(own),
					       (enum sasl_mechanism)cluster->ask_sasl.mechanism,
					       "discovery.sasl" };
		return (struct asker){ users != NULL ? config_clients_any(users) : NULL,
				       (enum sasl_mechanism)cluster->broker_sasl.mechanism,
				       "broker_sasl" };
	}
	return (struct asker){ .key = "broker_sasl" };
}

bool control_ask_login_begin(struct control_ask *ask)
{
	struct asker asker = whom(ask);
	struct sink sink = sink_of(ask->question, sizeof(ask->question));
	uint8_t random[SASL_RANDOM];

	if (asker.user == NULL)
		return false;
	ask->login = (struct kafka_login){ .step = 0 };
	rng_secret(random, sizeof(random));
	kafka_login_begin(&ask->login, asker.mechanism, random);
	kafka_login_first(&ask->login, &sink);
	CHECK(!sink.full);
	ask->question_len = sink.len;
	ask->question_sent = 0;
	ask->is_login = true;
	return true;
}

/* Its own word for it stays where it is: it may be any bytes at all. */
static void fail(struct control_ask *ask, const char *key, const struct kafka_login_seen *seen)
{
	char why[CONTROL_ASK_WHY_MAX];

	(void)snprintf(why, sizeof(why), "%s: %s", key, kafka_login_fault_text(seen->fault));
	control_ask_failed(ask, why);
}

enum control_ask_heard control_ask_login_hear(struct control_ask *ask)
{
	struct asker asker = whom(ask);
	struct sink sink = sink_of(ask->question, sizeof(ask->question));
	struct kafka_login_seen seen;

	if (asker.user == NULL) { /* a renewed file has it no more */
		control_ask_failed(ask, "there is no user left to ask as");
		return CONTROL_ASK_FAILED;
	}
	const struct sasl_credential credential = { .user = span_str(asker.user->first),
						    .password = span_str(asker.user->second) };

	enum kafka_login_next next =
		kafka_login_see(&ask->login, &credential, span_of(ask->answer, ask->answer_len),
				&ask->memo, &sink, &seen);

	if (next == KAFKA_LOGIN_MORE)
		return CONTROL_ASK_MORE;
	if (next == KAFKA_LOGIN_FAILED) {
		fail(ask, asker.key, &seen);
		return CONTROL_ASK_FAILED;
	}
	if (seen.frame_size != ask->answer_len) {
		control_ask_failed(ask, "it says more than it was asked");
		return CONTROL_ASK_FAILED;
	}
	ask->answer_len = 0;
	ask->question_len = sink.len;
	ask->question_sent = 0;
	return next == KAFKA_LOGIN_SAY ? CONTROL_ASK_SAY : CONTROL_ASK_DONE;
}
