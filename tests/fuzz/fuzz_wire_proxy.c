/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * PROXY headers: every beginning of a header wants more, no beginning of anything else is taken,
 * and what was read can be written and read again.
 */
#include "fuzz.h"

#include <penstock/wire/proxy.h>

static void check_again(const struct proxy_header *header)
{
	uint8_t bytes[2][PROXY_WRITE_MAX];
	for (size_t i = 0; i < 2; i++) {
		struct sink sink = sink_of(bytes[i], sizeof(bytes[i]));
		struct proxy_header back;
		size_t need;
		(i == 0 ? proxy_write_v1 : proxy_write_v2)(&sink, &header->source,
							   &header->destination);
		CHECK(!sink.full);
		CHECK(proxy_read(sink_written(&sink), &back, &need) == WIRE_OK);
		CHECK(back.size == sink.len);
		CHECK(addr_equal(&back.source, &header->source));
		CHECK(addr_equal(&back.destination, &header->destination));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_header header, part;
	size_t need;
	enum wire res = proxy_read(span_of(data, size), &header, &need);
	if (res == WIRE_OK) {
		CHECK(header.size <= size && header.size <= PROXY_HEADER_MAX && need == 0);
		CHECK(header.source.is_set == header.destination.is_set);
		check_again(&header);
	} else if (res == WIRE_MORE) {
		CHECK(need > size && need <= PROXY_HEADER_MAX);
	} else {
		CHECK(need == 0);
		return 0;
	}
	size_t whole = res == WIRE_OK ? header.size : size;
	for (size_t len = 0; len < whole; len++) {
		CHECK(proxy_read(span_of(data, len), &part, &need) == WIRE_MORE);
		CHECK(need > len && (res != WIRE_OK || need <= whole));
	}
	return 0;
}
