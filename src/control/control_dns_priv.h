/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * control_dns_priv: between the cache (control_dns.c) and c-ares (control_dns_query.c).
 */
#pragma once

#include "control_priv.h"

struct control_dns_result {
	struct addr addrs[MAIL_ADDRS_MAX]; /* families taking turns, each in a fixed order */
	uint8_t addr_count;		   /* 0: failed */
	bool is_denied;			   /* a server said that there is no such name */
	uint64_t ttl_s;
	const char *error;
};

MUST_USE int control_dns_query_open(struct control *control);
void control_dns_query_close(struct control *control);
/* Answers by control_dns_on_result, maybe before it returns. */
void control_dns_query_start(struct control *control, struct control_dns_entry *entry);
/* Reads resolv.conf again if it has changed. */
void control_dns_query_refresh(struct control *control);

/* control_dns.c */
void control_dns_on_result(struct control_dns_entry *entry,
			   const struct control_dns_result *result);
