/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Headers of Kafka requests and responses, and the requests that are looked into: every beginning
 * of a good one wants more, and says how much without asking for more than the frame has.
 */
#include "fuzz.h"

#include <penstock/wire/kafka_sasl.h>
#include <penstock/wire/kafka_versions.h>

#define FRAME_MAX 4096

struct answer {
	enum wire res;
	struct kafka_why why;
	int16_t acks;
	size_t at;
	struct span text, body;
};

enum question { CLIENT, BODY, ACKS, CREATES, HELLO, MECHANISM, TOKEN, QUESTIONS };

/* May it create topics? `at`: behind what has to be read for that. */
static struct answer ask_creation(struct span bytes, const struct kafka_request *request)
{
	struct answer answer = { 0 };
	struct kafka_creation creation;
	bool is_asked = false;
	kafka_creation_begin(&creation, request);
	answer.res = kafka_creation_see(&creation, bytes, &answer.at, &is_asked, &answer.why);
	CHECK(answer.at <= bytes.len);
	CHECK(answer.res == WIRE_BAD || creation.left == request->frame_size - answer.at);
	answer.acks = is_asked;
	if (answer.res == WIRE_OK && request->version >= KAFKA_CREATION_SAID)
		CHECK(answer.at < bytes.len && is_asked == (bytes.at[answer.at] != 0));
	if (answer.res == WIRE_MORE)
		answer.why.need += answer.at;
	return answer;
}

/* In two pieces it comes to the same. */
static void check_creation(struct span bytes, const struct kafka_request *request)
{
	struct answer whole = ask_creation(bytes, request);
	for (size_t len = 0; len < bytes.len && len < 300; len++) {
		struct kafka_creation creation;
		struct kafka_why why;
		size_t taken, more = 0;
		bool is_asked = false;
		kafka_creation_begin(&creation, request);
		enum wire res = kafka_creation_see(&creation, span_of(bytes.at, len), &taken,
						   &is_asked, &why);
		if (res == WIRE_MORE)
			res = kafka_creation_see(&creation,
						 span_of(bytes.at + taken, bytes.len - taken),
						 &more, &is_asked, &why);
		CHECK(res == whole.res && taken + more == whole.at && is_asked == whole.acks);
	}
}

static struct answer ask(enum question question, struct span bytes,
			 const struct kafka_request *request)
{
	struct answer answer = { .res = WIRE_BAD, .why.bad = KAFKA_BAD_VERSION };
	struct kafka_hello hello;
	if (question == CLIENT)
		answer.res = kafka_request_client(bytes, request, &answer.text, &answer.why);
	else if (question == BODY && kafka_api(request->key) != NULL)
		answer.res = kafka_request_body(bytes, request, &answer.body, &answer.why);
	else if (question == ACKS && request->key == KAFKA_PRODUCE)
		answer.res = kafka_produce_acks(bytes, request, &answer.acks, &answer.why);
	else if (question == CREATES && request->key == KAFKA_METADATA)
		return ask_creation(bytes, request);
	else if (question == HELLO && request->key == KAFKA_API_VERSIONS)
		answer.res = kafka_versions_read(bytes, request, &hello, &answer.why);
	else if (question == MECHANISM && request->key == KAFKA_SASL_HANDSHAKE)
		answer.res = kafka_sasl_mechanism(bytes, request, &answer.text, &answer.why);
	else if (question == TOKEN && request->key == KAFKA_SASL_AUTHENTICATE)
		answer.res = kafka_sasl_token(bytes, request, &answer.text, &answer.why);
	return answer;
}

static void check_question(enum question question, struct span bytes,
			   const struct kafka_request *request)
{
	struct answer whole = ask(question, bytes, request);
	if (whole.res == WIRE_MORE)
		CHECK(whole.why.need > bytes.len && whole.why.need <= request->frame_size);
	if (whole.res == WIRE_BAD)
		CHECK(whole.why.bad > KAFKA_BAD_NONE && whole.why.bad < KAFKA_BAD_COUNT);
	for (size_t len = 12; len < bytes.len && len < 300; len++) {
		struct answer part = ask(question, span_of(bytes.at, len), request);
		if (part.res == WIRE_MORE)
			CHECK(part.why.need > len && part.why.need <= request->frame_size);
		else
			CHECK(part.res == whole.res && part.body.at == whole.body.at &&
			      part.acks == whole.acks && part.at == whole.at &&
			      span_equal(part.text, whole.text));
	}
}

static void check_sasl(struct span bytes)
{
	struct kafka_sasl_result result;
	struct kafka_why why;
	struct span user;
	uint64_t frame_size;
	int16_t error;
	if (kafka_sasl_handshake_error(bytes, &error, &why) == WIRE_MORE)
		CHECK(why.need > bytes.len);
	for (int16_t version = 0; version <= 2; version++) {
		if (kafka_sasl_result(bytes, version, &result, &why) == WIRE_MORE)
			CHECK(why.need > bytes.len);
	}
	if (kafka_sasl_plain_user(bytes, &user))
		CHECK(user.len > 0 && user.len + 3 <= bytes.len);
	for (int shown = KAFKA_SASL_SHOWS_NOBODY; shown <= KAFKA_SASL_SHOWS_SCRAM; shown++) {
		uint8_t text[64];
		struct sink name = sink_of(text, sizeof(text));
		if (kafka_sasl_user((enum kafka_sasl_shown)shown, bytes, &name))
			CHECK(name.len > 0 && name.len < bytes.len && !name.full);
	}
	if (kafka_sasl_raw(bytes, &frame_size, &why) == WIRE_OK)
		CHECK(frame_size >= 4 && frame_size <= 4 + KAFKA_FRAME_AUTH);
	(void)kafka_sasl_is_request(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span bytes = span_of(data, size);
	struct kafka_request request;
	struct kafka_response response;
	struct kafka_why why;
	check_sasl(bytes);
	(void)kafka_mistake(bytes);
	enum wire res = kafka_response_head(bytes, FRAME_MAX, &response, &why);
	if (res == WIRE_MORE)
		CHECK(size < 8 && why.need > size && why.need <= 8);
	res = kafka_request_head(bytes, FRAME_MAX, &request, &why);
	if (res == WIRE_MORE)
		CHECK(size < 12 && why.need > size && why.need <= 12);
	if (res != WIRE_OK)
		return 0;
	CHECK(request.frame_size >= 12 && request.frame_size <= FRAME_MAX + 4);
	for (enum question question = CLIENT; question < QUESTIONS; question++)
		check_question(question, bytes, &request);
	if (request.key == KAFKA_METADATA)
		check_creation(bytes, &request);
	(void)kafka_way(request.key, request.version);
	(void)kafka_policy_allows(&(struct kafka_policy){ 0 }, request.key, request.version);
	return 0;
}
