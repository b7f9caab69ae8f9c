/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * Files of certificates, keys, authorities, revocation lists and stapled answers, as an operator
 * may hand us any: whatever is refused is refused with a sentence, and whatever is taken can be
 * used.
 */
#define _GNU_SOURCE
#include "fuzz.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/tls/tls_priv.h"

static uint32_t mistakes, doubts;

static void say(void *with, bool is_error, const char *sentence)
{
	(void)with;
	CHECK(strlen(sentence) > 5 && strlen(sentence) < 512);
	if (is_error)
		mistakes++;
	else
		doubts++;
}

static const struct tls_report report = { .say = say };

static void check_pair(const char *path)
{
	struct tls_pair pair;

	mistakes = 0;
	if (!tls_pair_read(&pair, path, path, &report)) {
		CHECK(mistakes > 0 && pair.key == NULL && pair.chain.bytes == NULL);
		return;
	}
	CHECK(mistakes == 0 && pair.key != NULL && pair.leaf_size > 0);
	CHECK(pair.chain.size > 0 && pair.key_der.size > 0);
	/* What was rewritten is what it should be. */
	struct tls_peer peer;
	uint8_t bytes[4096];
	struct sink store = sink_of(bytes, sizeof(bytes));
	CHECK(tls_cert_peer(span_of(pair.leaf_der, pair.leaf_size), &peer, &store));
	CHECK(tls_cert_check_cas(&pair.chain, &report));
	struct tls_file staple = { .name = "x",
				   .bytes = pair.chain.bytes,
				   .size = pair.chain.size };
	CHECK(!tls_cert_check_staple(&staple, span_of(pair.leaf_der, pair.leaf_size), &report));
	tls_pair_forget(&pair);
}

static void check_lists(const struct tls_file *file)
{
	mistakes = 0;
	CHECK(tls_cert_check_cas(file, &report) == (mistakes == 0));
	mistakes = 0;
	CHECK(tls_cert_check_crls(file, &report) == (mistakes == 0));
	mistakes = 0;
	CHECK(tls_cert_check_staple(file, span_of(file->bytes, file->size), &report) ==
	      (mistakes == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	int fd = memfd_create("pem", MFD_CLOEXEC);
	struct tls_file file;

	CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	check_pair(path);
	CHECK(tls_file_read(&file, path, &report) && file.size == size);
	CHECK(size == 0 || memcmp(file.bytes, data, size) == 0);
	check_lists(&file);
	tls_file_forget(&file);
	(void)close(fd);
	return 0;
}
