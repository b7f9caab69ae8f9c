/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls_random: wolfSSL's random bytes, from the kernel. By itself it opens /dev/urandom for every
 * handshake, which costs more and fails where file descriptors have run out.
 */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/cryptocb.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include <errno.h>
#include <sys/random.h>

#include "tls_wolf.h"

static bool fill(uint8_t *out, size_t size)
{
	while (size > 0) {
		ssize_t n = getrandom(out, size, 0);

		if (n < 0 && errno != EINTR)
			return false;
		if (n > 0) {
			out += n;
			size -= (size_t)n;
		}
	}
	return true;
}

/* All that wolfSSL would do with a device comes by here; the rest is its own business. */
static int device(int id, wc_CryptoInfo *asked, void *unused)
{
	(void)id, (void)unused;
	if (asked->algo_type == WC_ALGO_TYPE_RNG)
		return fill(asked->rng.out, asked->rng.sz) ? 0 : RNG_FAILURE_E;
	if (asked->algo_type == WC_ALGO_TYPE_SEED)
		return fill(asked->seed.seed, asked->seed.sz) ? 0 : RNG_FAILURE_E;
	return CRYPTOCB_UNAVAILABLE;
}

int tls_random_init(void)
{
	return wc_CryptoCb_RegisterDevice(TLS_RANDOM_DEVICE, device, NULL) == 0 ? 0 : -ENOMEM;
}
