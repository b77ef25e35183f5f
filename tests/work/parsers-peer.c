/* SPDX-License-Identifier: MIT */
#include "tests/work/parsers.h"

#include <openssl/x509v3.h>
#include <stdlib.h>

#include "gateway/upstream/dns/cache.h"
#include "gateway/upstream/dns/walk.h"
#include "gateway/upstream/tls/certificate.h"
#include "gateway/upstream/tunnel.h"
#include "gateway/xmpp/namespace.h"
#include "gateway/xmpp/stream.h"

enum {
	/* What each input of "reply" begins with: the header, and the question for the records SRV
	 * of _xmpp-client._tcp.a.example. */
	QUESTION_SIZE = 12 + 13 + 5 + 2 + 8 + 1 + 4,
};

static struct outcome run_stream(struct sv input, size_t n_piece)
{
	static const struct stream_target target = {.to = {"a.example", 9}};
	const struct xml_scan_options options = stream_options(N_INPUT_MAX);
	enum stream_event_kind kind = STREAM_EVENT_NONE;
	static struct xml_pool *pool;
	struct outcome outcome = {0};
	struct stream stream;

	if (!pool) {
		need(xml_pool_new(namespaces, NS_COUNT, &pool));
	}
	stream_init(&stream, pool, &options, DOMAIN_TLS_OFF);
	need(stream_open(&stream, &target, false));
	while (input.n && stream.state != STREAM_STATE_OVER) {
		struct sv piece = take(&input, n_piece);

		need(stream_feed(&stream, piece.data, piece.n));
		do {
			struct buffer event = BUFFER_INIT;

			need(stream_next(&stream, &kind));
			if (kind == STREAM_EVENT_FEATURES || kind == STREAM_EVENT_ELEMENT) {
				need(stream_event_take(&stream, &event));
			}
			outcome.n_out += event.n;
			buffer_deinit(&event);
		} while (kind != STREAM_EVENT_NONE && stream.state != STREAM_STATE_OVER);
	}
	outcome.refusal = stream.state == STREAM_STATE_OVER ? OVER : ACCEPTED;
	stream_deinit(&stream);
	return outcome;
}

/* The message with as many records as are whole, and with their number in its header: without it
 * nothing of a message is read. */
static void make_message(struct sv input, struct buffer *ret_prepared)
{
	size_t n = QUESTION_SIZE, n_records = 0;
	struct dns_walk walk;
	struct dns_entry entry;

	need(input.n < n);
	need(buffer_append_sv(ret_prepared, input));
	unsigned char *message = (unsigned char *)buffer_end(ret_prepared) - input.n;

	dns_walk_claim(message, DNS_SECTION_ANSWER, UINT16_MAX);
	dns_walk_begin(&walk, message, input.n);
	while (dns_walk_next(&walk, &entry) == DNS_WALK_ENTRY) {
		n = (size_t)(entry.end - message);
		n_records += entry.section == DNS_SECTION_ANSWER;
	}
	dns_walk_claim(message, DNS_SECTION_ANSWER, (unsigned)n_records);
	buffer_truncate(ret_prepared, ret_prepared->n - (input.n - n));
}

static struct outcome run_reply(struct sv input, size_t n_piece)
{
	struct dns_reply *reply;

	(void)n_piece;
	need(dns_reply_read(DNS_KIND_SRV, "_xmpp-client._tcp.a.example",
			    (const unsigned char *)input.data, input.n, &reply));
	struct outcome outcome = {.refusal =
					  reply->result == RESOLVER_FAILED ? INCOMPLETE : ACCEPTED,
				  .n_out = reply->n_bytes};

	dns_reply_unref(reply);
	return outcome;
}

/* Each line is a name that is looked for, not found, kept, and found. */
static struct outcome run_cache(struct sv input, size_t n_piece)
{
	const struct mono now = {1000000};
	struct outcome outcome = {0};
	struct dns_cache *cache;
	struct dns_reply *reply;
	struct sv line;

	(void)n_piece;
	need(dns_cache_new(&cache));
	need(dns_reply_new(DNS_KIND_SRV, RESOLVER_NO_NAME, 300, NULL, 0, &reply));
	while (sv_split(&input, '\n', &line)) {
		char name[256] = "";

		memcpy(name, line.data, line.n < sizeof(name) ? line.n : sizeof(name) - 1);
		if (!dns_reply_unref(dns_cache_find(cache, DNS_KIND_SRV, name, now))) {
			dns_cache_put(cache, DNS_KIND_SRV, name, reply, now);
			dns_reply_unref(dns_cache_find(cache, DNS_KIND_SRV, name, now));
			outcome.n_out += reply->n_bytes;
		}
	}
	dns_reply_unref(reply);
	dns_cache_free(cache);
	return outcome;
}

/* A certificate with @input, names in DER, in its subjectAltName. */
static void make_certificate(struct sv input, struct buffer *ret_prepared)
{
	static EVP_PKEY *key;
	X509 *certificate = X509_new();
	ASN1_STRING *names = ASN1_STRING_new();
	unsigned char *der = NULL, *at;
	int n_names = ASN1_object_size(1, (int)input.n, V_ASN1_SEQUENCE);
	struct buffer sequence = BUFFER_INIT;

	key = key ? key : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	need(buffer_reserve(&sequence, (size_t)n_names));
	at = (unsigned char *)sequence.data;
	ASN1_put_object(&at, 1, (int)input.n, V_ASN1_SEQUENCE, V_ASN1_UNIVERSAL);
	memcpy(at, input.data, input.n);
	need(!ASN1_STRING_set(names, sequence.data, n_names));
	X509_EXTENSION *extension =
		X509_EXTENSION_create_by_NID(NULL, NID_subject_alt_name, 0, names);
	need(!X509_set_version(certificate, X509_VERSION_3) ||
	     !X509_add_ext(certificate, extension, -1) || !X509_set_pubkey(certificate, key) ||
	     !X509_gmtime_adj(X509_getm_notBefore(certificate), 0) ||
	     !X509_gmtime_adj(X509_getm_notAfter(certificate), 60) ||
	     !X509_sign(certificate, key, NULL));
	int n = i2d_X509(certificate, &der);

	need(n <= 0);
	need(buffer_append(ret_prepared, der, (size_t)n));
	OPENSSL_free(der);
	X509_EXTENSION_free(extension);
	ASN1_STRING_free(names);
	X509_free(certificate);
	buffer_deinit(&sequence);
}

static struct outcome run_certificate(struct sv input, size_t n_piece)
{
	const unsigned char *at = (const unsigned char *)input.data;
	X509 *certificate = d2i_X509(NULL, &at, (long)input.n);
	char text[256];

	(void)n_piece;
	need(!certificate);
	(void)certificate_names(certificate, "a.example.org");
	certificate_list_names(certificate, text, sizeof(text));
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	struct outcome outcome = {.refusal = names ? ACCEPTED : INCOMPLETE, .n_out = strlen(text)};

	GENERAL_NAMES_free(names);
	X509_free(certificate);
	return outcome;
}

static struct outcome run_tunnel(const char *proxy, struct sv input, size_t n_piece)
{
	static const struct tunnel_server server = {.host = "xmpp.example.org", .port = 5222};
	enum tunnel_result result = TUNNEL_MORE;
	struct outcome outcome = {0};
	struct failure failure = {0};
	struct egress egress;
	struct tunnel tunnel;
	size_t n_used;

	need(egress_parse(sv_from(proxy), &egress));
	tunnel_init(&tunnel, &egress, &server);
	while (input.n && result == TUNNEL_MORE) {
		outcome.n_out += tunnel.out.n;
		tunnel_written(&tunnel, tunnel.out.n);
		result = tunnel_feed(&tunnel, take(&input, n_piece), &n_used, &failure);
	}
	outcome.n_out += tunnel.out.n;
	outcome.refusal = result == TUNNEL_MORE ? ACCEPTED : OVER;
	tunnel_deinit(&tunnel);
	egress_deinit(&egress);
	return outcome;
}

static struct outcome run_socks(struct sv input, size_t n_piece)
{
	return run_tunnel("socks5://a:b@proxy.example.org:1080", input, n_piece);
}

static struct outcome run_connect(struct sv input, size_t n_piece)
{
	return run_tunnel("http://a:b@proxy.example.org:8080", input, n_piece);
}

const struct parser peer_parsers[] = {
	{"stream", NULL, run_stream},
	{"reply", make_message, run_reply},
	{"cache", NULL, run_cache},
	{"certificate", make_certificate, run_certificate},
	{"socks", NULL, run_socks},
	{"connect", NULL, run_connect},
	{0},
};
