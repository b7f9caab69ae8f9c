/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * wire/kafka_versions: which APIs a client may use through us, and ApiVersions, by which it is told
 * (KIP-35, KIP-511).
 *
 * Thread:   any (pure functions over spans)
 * Errors:   as in wire/kafka.h
 */
#pragma once

#include <penstock/wire/kafka.h>

#define KAFKA_VENDOR_KEY 500 /* keys from here on are not Apache's */
#define KAFKA_DENY_WORDS 2   /* every key of the table has a bit */
#define KAFKA_DENY_MORE	 32  /* keys that the table does not have */

struct kafka_policy {
	uint64_t denied[KAFKA_DENY_WORDS]; /* kafka_policy_deny */
	int16_t denied_more[KAFKA_DENY_MORE];
	uint8_t denied_more_count;
	bool pass_unknown; /* keys that the table does not have: they may show addresses */
	bool hide_vendor;  /* keys from KAFKA_VENDOR_KEY on */
	bool show_quorum;  /* DescribeQuorum v2, which names controllers: else at most v1 */
};

/* What is denied is not offered to clients any more, except Produce, which some of them must see to
 * be able to fetch. false: no key at all, or one more than KAFKA_DENY_MORE of those that the table
 * does not have. */
MUST_USE bool kafka_policy_deny(struct kafka_policy *policy, int16_t key);
/* Denies all that writes, creates, alters or deletes (column `access` of kafka_api.def), and hides
 * keys that the table does not have, vendors' too: nobody here can tell whether they do. */
void kafka_policy_read_only(struct kafka_policy *policy);

/* May this request go to the broker? A call may come although ApiVersions did not offer it. */
enum kafka_allow {
	KAFKA_ALLOW,
	KAFKA_ALLOW_DENIED,  /* by kafka_policy_deny */
	KAFKA_ALLOW_UNKNOWN, /* a key that is hidden */
	KAFKA_ALLOW_VERSION, /* a version whose response we could not read */
};
enum kafka_allow kafka_policy_allows(const struct kafka_policy *policy, int16_t key,
				     int16_t version);

/* ---- ApiVersions ---------------------------------------------------------------------------- */

struct kafka_hello {
	struct span software, software_version; /* from v3 on */
	struct span cluster;			/* from v5 on; at == NULL: not said */
	int32_t node;				/* from v5 on; -1: not said */
};
/* What a client says of itself. A version above our newest is BAD: see kafka_versions_answer. */
enum wire kafka_versions_read(struct span bytes, const struct kafka_request *request,
			      struct kafka_hello *ret, struct kafka_why *why);

#define KAFKA_VERSIONS_ANSWER 20
/* What a broker says to a version it does not know (KIP-511): error 35 in a v0 body that lists
 * ApiVersions alone. For requests above our newest: they are not to be passed on. */
void kafka_versions_answer(struct sink *sink, int32_t correlation);

struct kafka_versions {
	int16_t error;
	uint32_t removed, clamped; /* entries */
	uint32_t unknown;	   /* of those removed: keys that the table does not have, */
	uint32_t denied;	   /* and calls that the policy denies */
};
/* The response, with only what the policy offers. `frame` is one whole frame; if nothing is written
 * it is to be passed as it is. Error 35 (UNSUPPORTED_VERSION) with a list that cannot be read
 * becomes the v0 answer of brokers of before KIP-511: the error and no list. */
enum wire kafka_versions_rewrite(struct span frame, int16_t version,
				 const struct kafka_policy *policy, struct sink *sink,
				 struct kafka_versions *ret, struct kafka_why *why);
