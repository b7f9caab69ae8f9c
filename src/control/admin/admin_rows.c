/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * admin_rows: /connections. Only a worker knows its sessions, so one page of 256 rows is lent to
 * one worker after the other until all have been asked; meanwhile the HTTP request sleeps. A worker
 * fills a page between two turns of its loop: its clients notice nothing.
 */
#include <stdlib.h>

#include <penstock/base/log.h>

#include "admin_priv.h"

#define ANSWER_NS (5 * NS_PER_S) /* a worker that takes longer is stuck */

static void write_addr(struct admin_text *text, const struct addr *addr)
{
	char name[ADDR_TEXT_MAX];

	if (addr->is_set)
		admin_text_printf(text, "\"%s\"", addr_format(addr, name));
	else
		admin_text_printf(text, "null");
}

static void write_row(const struct admin *admin, struct admin_waiter *waiter,
		      const struct mail_row *row)
{
	const struct route *route = admin->host.route(admin->host.context);
	struct admin_text *text = &waiter->text;
	const char *listener = route != NULL && row->listener_id < STAT_LISTENERS_MAX
				       ? route->listener_name[row->listener_id]
				       : NULL;
	uint32_t rule = route != NULL ? route_rule_of_id(route, row->rule_id) : ROUTE_NO_RULE;

	admin_text_printf(text, "%s\n{\"id\":%llu,\"worker\":%u,\"listener\":",
			  waiter->row_count == 0 ? "" : ",", (unsigned long long)row->id,
			  row->worker);
	admin_text_json(text, listener);
	admin_text_printf(text, ",\"route\":");
	admin_text_json(text, rule != ROUTE_NO_RULE ? route->config->routes[rule].label : NULL);
	admin_text_printf(text, ",\"kind\":\"%s\",\"state\":\"%s\",\"client\":", row->kind,
			  row->state);
	write_addr(text, &row->client);
	admin_text_printf(text, ",\"broker\":");
	write_addr(text, &row->broker);
	admin_text_printf(text,
			  ",\"age_seconds\":%.3f,\"bytes_to_broker\":%llu,"
			  "\"bytes_to_client\":%llu,\"spliced\":%llu}",
			  (double)row->age_ns / 1e9, (unsigned long long)row->bytes_to_broker,
			  (unsigned long long)row->bytes_to_client,
			  (unsigned long long)row->spliced);
	waiter->row_count++;
}

/* The first waiter has all it will get; its connection's handler runs again and answers. */
static void finish(struct admin *admin, bool is_good)
{
	struct admin_waiter *waiter = admin->gather.first;

	admin->gather.first = waiter->next;
	waiter->next = NULL;
	admin_text_printf(&waiter->text, "\n],\"count\":%u}\n", waiter->row_count);
	waiter->text.is_failed = waiter->text.is_failed || !is_good;
	waiter->is_done = true;
	admin->gather.worker = 0;
	admin->gather.cursor = 0;
	timer_clear(admin->host.wheel, &admin->gather.timer);
	MHD_resume_connection(waiter->connection);
	admin_run_soon(admin);
}

static void on_timeout(struct timer *timer)
{
	struct admin *admin = CONTAINER_OF(timer, struct admin, gather.timer);

	log_warn("rows_late", "worker %u does not say which connections it has",
		 admin->gather.worker);
	/* Its page is still away, so the others cannot be served either. */
	while (admin->gather.first != NULL)
		finish(admin, false);
}

/* Lends the page to the next worker; with none left the first request is done and the next one
 * begins. */
static void go_on(struct admin *admin)
{
	struct admin_gather *gather = &admin->gather;

	while (gather->first != NULL) {
		if (gather->worker >= admin->host.office->worker_count ||
		    gather->first->row_count >= ADMIN_ROWS_MAX) {
			finish(admin, true);
			continue;
		}
		if (admin->host.ask_rows(admin->host.context, gather->worker, gather->cursor,
					 gather->page)) {
			gather->is_lent = true;
			timer_set(admin->host.wheel, &gather->timer, clock_now_ns() + ANSWER_NS,
				  on_timeout);
			return;
		}
		gather->worker++; /* stopped: it has no connections */
		gather->cursor = 0;
	}
}

void admin_on_rows(struct admin *admin, const struct mail_rows *rows)
{
	struct admin_gather *gather = &admin->gather;

	if (rows->page != gather->page)
		return;
	gather->is_lent = false;
	if (gather->first == NULL)
		return; /* it came too late */
	for (uint32_t i = 0; i < rows->page->count && i < MAIL_ROWS_MAX; i++)
		if (gather->first->row_count < ADMIN_ROWS_MAX)
			write_row(admin, gather->first, &rows->page->rows[i]);
	gather->cursor = rows->cursor;
	if (rows->cursor == UINT32_MAX) {
		gather->worker++;
		gather->cursor = 0;
	}
	go_on(admin);
}

void admin_on_stopped(struct admin *admin, uint32_t worker)
{
	struct admin_gather *gather = &admin->gather;

	if (!gather->is_lent || gather->worker != worker)
		return;
	gather->is_lent = false;
	gather->worker++;
	gather->cursor = 0;
	go_on(admin);
}

struct admin_waiter *admin_rows_begin(struct admin *admin, struct MHD_Connection *connection)
{
	struct admin_gather *gather = &admin->gather;
	struct admin_waiter **last = &gather->first;
	bool is_first = gather->first == NULL;
	struct admin_waiter *waiter = NULL;

	/* A page that is away although nobody waits is at a worker that is stuck. */
	if (admin->waiter_count >= ADMIN_BODIES || (is_first && gather->is_lent))
		return NULL;
	if (gather->page == NULL)
		gather->page = calloc(1, sizeof(*gather->page));
	if (gather->page != NULL)
		waiter = calloc(1, sizeof(*waiter));
	if (waiter == NULL)
		return NULL;
	waiter->admin = admin;
	waiter->connection = connection;
	admin_text_printf(&waiter->text, "{\"connections\":[");
	admin->waiter_count++;
	while (*last != NULL)
		last = &(*last)->next;
	*last = waiter;
	MHD_suspend_connection(connection);
	if (is_first)
		go_on(admin);
	return waiter;
}

void admin_rows_free(struct admin_waiter *waiter)
{
	waiter->admin->waiter_count--;
	admin_text_fini(&waiter->text);
	free(waiter);
}

void admin_rows_fini(struct admin *admin)
{
	while (admin->gather.first != NULL)
		finish(admin, false);
}
