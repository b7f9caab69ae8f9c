/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * tls/peer: access by what a client's certificate says, once it has been verified.
 *
 *     cn:NAME      the subject's common name
 *     ou:NAME      one of the subject's organizational units
 *     dns:NAME     a DNS name of the certificate: exact, *.suffix (one label), **.suffix, *
 *     uri:TEXT     a URI (spiffe://east/ns/x*): exact, or up to a `*` at the end; and so are
 *     email:TEXT, ip:TEXT
 *
 * Thread:   any
 * Errors:   none: what is not on the list is not let in
 */
#pragma once

#include <penstock/config.h>
#include <penstock/tls.h>

/* For `check`: does the rule begin with one of the words above, and say something? */
bool tls_peer_rule_is_good(const char *rule);
/* Does a name of the certificate match a rule? Without a certificate none does. */
bool tls_peer_is_one_of(const struct tls_peer *peer, const struct config_names *rules);

/* The principal that Pulsar's AuthenticationProviderTls takes from the certificate: the subject's
 * most specific common name. Empty without a certificate, and where Java reads something else than
 * was meant, or nothing: a name with `, = + < > # ; " \`, which it would escape, one of several
 * parts (CN=a+OU=b), other than printable ASCII, more than HOST_MAX - 1 bytes. Source:
 * AuthenticationProviderTls.authenticate of Pulsar 4.0. */
struct span tls_peer_principal(const struct tls_peer *peer);
