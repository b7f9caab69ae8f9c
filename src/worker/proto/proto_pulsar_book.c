/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * proto_pulsar_book: the lookups of one connection that have no answer yet, each with its frame, so
 * that a redirect can be followed with the client's own words (topic, listener name, properties).
 * Leased while anything is outstanding, 64 entries; a full book holds the client back.
 *
 *     bytes: | frame | frame | target | (freed) | frame | ... used
 */
#include <string.h>

#include "proto_pulsar_priv.h"

static struct pulsar_book *book_get(struct proto *proto, struct proto_context *context)
{
	struct pulsar_book *book = proto->pulsar.book;

	if (book != NULL)
		return book;
	book = pool_get(&context->pools->books);
	if (book == NULL)
		return NULL;
	memset(book, 0, offsetof(struct pulsar_book, bytes));
	proto->pulsar.book = book;
	return book;
}

static void book_put(struct proto *proto, struct proto_context *context)
{
	pool_put(&context->pools->books, proto->pulsar.book);
	proto->pulsar.book = NULL;
}

static void move_down(struct pulsar_book *book, const struct pulsar_book *old, uint16_t *at,
		      uint16_t len)
{
	memcpy(book->bytes + book->used, old->bytes + *at, len);
	*at = (uint16_t)book->used;
	book->used += len;
}

/* Squeezes freed space out. Rare (a book that stays busy for 14 KiB of lookups), so the copy on the
 * stack is cheaper than keeping the entries in order of their bytes. */
static void book_compact(struct pulsar_book *book)
{
	const struct pulsar_book old = *book;

	book->used = 0;
	for (uint32_t i = 0; i < PULSAR_BOOK_ENTRIES; i++) {
		struct pulsar_entry *entry = &book->entries[i];

		if (entry->state == PULSAR_ENTRY_FREE)
			continue;
		move_down(book, &old, &entry->frame_at, entry->frame_len);
		move_down(book, &old, &entry->target_at, entry->target_len);
	}
}

static bool book_put_bytes(struct pulsar_book *book, struct span bytes, uint16_t *ret_at)
{
	if (bytes.len > PULSAR_BOOK_BYTES - book->used)
		book_compact(book);
	if (bytes.len > PULSAR_BOOK_BYTES - book->used)
		return false;
	*ret_at = (uint16_t)book->used;
	memcpy(book->bytes + book->used, bytes.at, bytes.len);
	book->used += (uint32_t)bytes.len;
	return true;
}

struct pulsar_entry *proto_pulsar_book_add(struct proto *proto, struct proto_context *context,
					   uint64_t request_id, struct span frame,
					   bool *ret_is_exhausted)
{
	struct pulsar_book *book = book_get(proto, context);

	*ret_is_exhausted = book == NULL;
	if (book == NULL)
		return NULL;
	for (uint32_t i = 0; i < PULSAR_BOOK_ENTRIES; i++) {
		struct pulsar_entry *entry = &book->entries[i];
		uint16_t at;

		if (entry->state != PULSAR_ENTRY_FREE)
			continue;
		if (!book_put_bytes(book, frame, &at))
			return NULL;
		*entry = (struct pulsar_entry){
			.request_id = request_id,
			.frame_at = at,
			.frame_len = (uint16_t)frame.len,
			.state = PULSAR_ENTRY_AT_BROKER,
		};
		book->count++;
		context->pools->lookups_in_flight++;
		stat_add(context->stats, STAT_LOOKUPS_IN_FLIGHT, 1);
		return entry;
	}
	return NULL;
}

struct pulsar_entry *proto_pulsar_book_find(const struct proto *proto, uint64_t request_id,
					    enum pulsar_entry_state state)
{
	struct pulsar_book *book = proto->pulsar.book;

	for (uint32_t i = 0; book != NULL && i < PULSAR_BOOK_ENTRIES; i++) {
		struct pulsar_entry *entry = &book->entries[i];

		if (entry->state == state && entry->request_id == request_id)
			return entry;
	}
	return NULL;
}

struct pulsar_entry *proto_pulsar_book_first(const struct proto *proto,
					     enum pulsar_entry_state state, uint32_t side)
{
	struct pulsar_book *book = proto->pulsar.book;

	for (uint32_t i = 0; book != NULL && i < PULSAR_BOOK_ENTRIES; i++) {
		struct pulsar_entry *entry = &book->entries[i];

		if (entry->state == state && (side == PULSAR_ANY_SIDE || entry->side == side))
			return entry;
	}
	return NULL;
}

void proto_pulsar_book_remove(struct proto *proto, struct proto_context *context,
			      struct pulsar_entry *entry)
{
	struct pulsar_book *book = proto->pulsar.book;

	CHECK(entry->state != PULSAR_ENTRY_FREE && book->count > 0);
	entry->state = PULSAR_ENTRY_FREE;
	book->count--;
	context->pools->lookups_in_flight--;
	stat_sub(context->stats, STAT_LOOKUPS_IN_FLIGHT, 1);
	if (book->count == 0)
		book_put(proto, context);
}

bool proto_pulsar_book_redirect(struct proto *proto, struct pulsar_entry *entry, struct span target)
{
	entry->target_len = 0;
	if (target.len > UINT16_MAX ||
	    !book_put_bytes(proto->pulsar.book, target, &entry->target_at))
		return false;
	entry->target_len = (uint16_t)target.len;
	return true;
}

struct span proto_pulsar_book_frame(const struct proto *proto, const struct pulsar_entry *entry)
{
	return span_of(proto->pulsar.book->bytes + entry->frame_at, entry->frame_len);
}

struct span proto_pulsar_book_target(const struct proto *proto, const struct pulsar_entry *entry)
{
	return span_of(proto->pulsar.book->bytes + entry->target_at, entry->target_len);
}

void proto_pulsar_book_end(struct proto *proto, struct proto_context *context)
{
	for (uint32_t i = 0; proto->pulsar.book != NULL && i < PULSAR_BOOK_ENTRIES; i++) {
		struct pulsar_entry *entry = &proto->pulsar.book->entries[i];

		if (entry->state != PULSAR_ENTRY_FREE)
			proto_pulsar_book_remove(proto, context, entry);
	}
}
