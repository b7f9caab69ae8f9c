/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_kafka_policy: ApiVersions tells clients what they may ask for (kafka_versions.h); a call
 * that comes all the same gets the error a broker would give, at once where that can be said
 * without reading the request, or ends the connection, as brokers do with calls they do not know.
 */
#include "proto_kafka_priv.h"

enum kafka_fate proto_kafka_policy(const struct kafka_policy *policy,
				   const struct kafka_request *request, struct sink *sink,
				   enum close_reason *ret_reason)
{
	enum close_reason reason = CLOSE_NONE;

	switch (kafka_policy_allows(policy, request->key, request->version)) {
	case KAFKA_ALLOW:
		return KAFKA_FATE_PASS;
	case KAFKA_ALLOW_DENIED:
		/* Authentication is denied where penstock does it (docs/adr/0018). */
		if (request->key == KAFKA_SASL_HANDSHAKE) {
			kafka_sasl_answer(sink, request, true);
			return KAFKA_FATE_ANSWER;
		}
		if (kafka_answer_denied(sink, request))
			return KAFKA_FATE_ANSWER;
		if (kafka_refusal_has(request))
			return KAFKA_FATE_DENY;
		reason = CLOSE_API_DENIED;
		break;
	case KAFKA_ALLOW_UNKNOWN:
		reason = CLOSE_API_UNKNOWN;
		break;
	case KAFKA_ALLOW_VERSION:
		/* The one call whose versions a client has to guess. */
		if (request->key == KAFKA_API_VERSIONS) {
			kafka_versions_answer(sink, request->correlation);
			return KAFKA_FATE_ANSWER;
		}
		reason = CLOSE_API_VERSION;
		break;
	}
	*ret_reason = reason;
	return KAFKA_FATE_REFUSE;
}
