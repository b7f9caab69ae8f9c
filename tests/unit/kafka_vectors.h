/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * The frames of tests/vectors/kafka, which the Java client has made (README.md there has the
 * format), and the names its brokers get.
 */
#pragma once

#include <inttypes.h>
#include <stdio.h>

#include "unit.h"

#include <penstock/wire/kafka_rewrite.h>

#define VECTOR_WORDS	 8
#define VECTOR_LINE	 65536
#define VECTOR_RESPONSES 161 /* lines of the kind "response" */

struct vector {
	const char *kind;
	char *words[VECTOR_WORDS]; /* without the first, which is the kind */
	size_t count;
	const char *file;
	size_t line;
};

static inline int vector_number(const struct vector *vector, size_t word)
{
	assert_true(word < vector->count);
	return (int)strtol(vector->words[word], NULL, 10);
}

static inline uint8_t hex_digit(char digit)
{
	return (uint8_t)(digit <= '9' ? digit - '0' : digit - 'a' + 10);
}

/* The bytes of a word in hexadecimal, in memory of exactly their size; free(3) it. */
static inline uint8_t *vector_bytes(const struct vector *vector, size_t word, size_t *ret_len)
{
	assert_true(word < vector->count);
	const char *text = vector->words[word];
	*ret_len = strlen(text) / 2;
	uint8_t *bytes = malloc(*ret_len > 0 ? *ret_len : 1);
	assert_non_null(bytes);
	for (size_t i = 0; i < *ret_len; i++)
		bytes[i] = (uint8_t)(hex_digit(text[2 * i]) << 4 | hex_digit(text[2 * i + 1]));
	return bytes;
}

static inline void vector_split(char *text, struct vector *vector)
{
	vector->count = 0;
	for (char *at = strchr(text, ' '); at != NULL; at = strchr(at, ' ')) {
		*at++ = '\0';
		assert_true(vector->count < VECTOR_WORDS);
		vector->words[vector->count++] = at;
	}
}

/* Calls `see` for every line of this kind; returns how many there are. */
static inline size_t vectors_each(const char *kind, void (*see)(const struct vector *vector))
{
	static const char *const files[] = { "tests/vectors/kafka/4.4.0.txt",
					     "tests/vectors/kafka/3.9.2.txt" };
	static char text[VECTOR_LINE];
	size_t seen = 0;
	for (size_t i = 0; i < COUNT_OF(files); i++) {
		struct vector vector = { .kind = kind, .file = files[i] };
		FILE *file = fopen(files[i], "r");
		if (file == NULL)
			fail_msg("%s cannot be read: run this from the top of the tree", files[i]);
		while (fgets(text, sizeof(text), file) != NULL) {
			vector.line++;
			text[strcspn(text, "\n")] = '\0';
			size_t len = strlen(kind);
			if (strncmp(text, kind, len) != 0 || text[len] != ' ')
				continue;
			vector_split(text, &vector);
			see(&vector);
			seen++;
		}
		(void)fclose(file);
	}
	return seen;
}

/* The header of a whole request. */
static inline struct kafka_request vector_request(const uint8_t *frame, size_t size)
{
	struct kafka_request request;
	struct kafka_why why;
	assert_int_equal(kafka_request_head(span_of(frame, size), KAFKA_FRAME_BROKER, &request,
					    &why),
			 WIRE_OK);
	return request;
}

/* Is there a part of a broker's real name (README.md) in it? */
static inline bool has_real_host(struct span bytes)
{
	static const char *const real[] = { ".in", ".internal.example" };
	for (size_t i = 0; i < COUNT_OF(real); i++) {
		size_t len = strlen(real[i]);
		for (size_t at = 0; at + len <= bytes.len; at++) {
			if (memcmp(bytes.at + at, real[i], len) == 0)
				return true;
		}
	}
	return false;
}

/* The names of README.md. `owner`, if any, counts the questions. */
static inline bool vector_name(void *owner, const struct kafka_node *node, struct kafka_name *ret)
{
	static char host[64];
	size_t *asked = owner;
	int len = snprintf(host, sizeof(host), "%s-%" PRId32 ".example.com",
			   node->kind == KAFKA_NODE_CONTROLLER ? "controller" : "kafka", node->id);
	assert_in_range(len, 1, sizeof(host) - 1);
	if (asked != NULL)
		(*asked)++;
	*ret = (struct kafka_name){
		.host = span_of(host, (size_t)len),
		.port = (uint16_t)(9100 + node->id),
	};
	return true;
}
