/* SPDX-License-Identifier: MIT */
#include "gateway/ops/trace.h"

#include <openssl/ssl.h>

#include "common/clock.h"
#include "common/log.h"
#include "gateway/upstream/stand-in.h"
#include "gateway/upstream/tls/pin.h"

enum {
	ISSUER_MAX = 256,
};

static const uint64_t WARNING_NS = 60 * UINT64_C(1000000000);

static void on_answered(void *userdata, enum dns_kind kind, const char *name,
			const struct dns_reply *reply)
{
	static const char *const kinds[] = {
		[DNS_KIND_SRV] = "SRV",
		[DNS_KIND_TLSA] = "TLSA",
		[DNS_KIND_ADDRESSES] = "A/AAAA",
	};
	static const char *const results[] = {
		[RESOLVER_OK] = "ok",
		[RESOLVER_NO_NAME] = "none",
		[RESOLVER_TIMEOUT] = "time-out",
		[RESOLVER_FAILED] = "failed",
	};

	(void)userdata;
	log_debug_in(LOG_AREA_DNS, "dns-answer", LOG_STR("name", name),
		     LOG_STR("kind", kinds[kind]),
		     LOG_STR("result", reply ? results[reply->result] : "out of memory"),
		     LOG_NUMBER("n", reply ? reply->n_records : 0),
		     LOG_NUMBER("ttl", reply ? reply->ttl_s : 0));
}

static void on_dns_took(void *userdata, int64_t us)
{
	metrics_observe(userdata, METRIC_HISTOGRAM_DNS, us);
}

/* It fails every session alike, so one line in a while says it all. */
static void warn_of_source(struct trace *trace, const struct failure *failure)
{
	uint64_t now_ns = uv_hrtime();

	if (trace->warned_ns && now_ns - trace->warned_ns < WARNING_NS) {
		return;
	}
	trace->warned_ns = now_ns;
	log_event_in(LOG_AREA_DIAL, LOG_LEVEL_WARNING, "source-address",
		     LOG_FIELDS(LOG_STR("detail", failure->detail)));
}

static void on_dialled(void *userdata, enum dial_step step, const struct srv_target *target,
		       const struct address *address, const struct failure *failure)
{
	static const char *const steps[] = {
		[DIAL_STARTED] = "started",     [DIAL_TUNNELLING] = "tunnelling",
		[DIAL_CONNECTED] = "connected", [DIAL_FAILED] = "failed",
		[DIAL_GIVEN_UP] = "given-up",
	};
	char text[ADDRESS_TEXT_MAX] = "";

	if (step == DIAL_FAILED && failure->kind == FAILURE_SOURCE_ADDRESS) {
		warn_of_source(userdata, failure);
	}
	if (!stand_in_is(address)) {
		address_format(address, text);
	}
	log_debug_in(LOG_AREA_DIAL, "dial", LOG_STR("host", target ? target->host : ""),
		     LOG_STR("address", text), LOG_STR("step", steps[step]),
		     LOG_STR("failure", failure ? failure_name(failure->kind) : ""),
		     LOG_STR("detail", failure ? failure->detail : ""));
}

static void on_dial_took(void *userdata, int64_t us)
{
	const struct trace *trace = userdata;

	metrics_observe(trace->metrics, METRIC_HISTOGRAM_DIAL, us);
}

static void on_header(void *userdata, const struct stream *stream)
{
	(void)userdata;
	log_debug_in(LOG_AREA_STREAM, "stream-header", LOG_STR("domain", stream->to),
		     LOG_STR("id", stream->id),
		     LOG_STR("secure", stream->is_secure ? "yes" : "no"));
}

static void log_key(const X509 *certificate, const char *domain, const struct pin *key,
		    const struct pin *last)
{
	char text[PIN_TEXT_MAX], before[PIN_TEXT_MAX], issuer[ISSUER_MAX];

	X509_NAME_oneline(X509_get_issuer_name(certificate), issuer, sizeof(issuer));
	log_event_in(LOG_AREA_TLS, LOG_LEVEL_INFO, "server-key",
		     LOG_FIELDS(LOG_STR("domain", domain), LOG_STR("pin", pin_format(key, text)),
				LOG_STR("before", pin_format(last, before)),
				LOG_STR("issuer", issuer)));
}

/* A resumed handshake shows no certificate. */
static void note_key(const struct trace *trace, const SSL *ssl, const char *domain)
{
	const X509 *certificate = SSL_get0_peer_certificate(ssl);
	struct mono now = clock_now();
	struct pin key, last;

	if (SSL_session_reused(ssl) || !certificate || pin_of(certificate, &key) < 0) {
		return;
	}
	if (known_keys_note(trace->known_keys, domain, &key, now, &last)) {
		log_key(certificate, domain, &key, &last);
	}
	uint64_t n_missed = known_keys_missed(trace->known_keys, now);

	if (n_missed) {
		log_event_in(LOG_AREA_TLS, LOG_LEVEL_INFO, "server-keys-missed",
			     LOG_FIELDS(LOG_NUMBER("n", n_missed)));
	}
}

static void on_secured(void *userdata, const char *domain, SSL *ssl, const struct failure *failure)
{
	if (!failure) {
		note_key(userdata, ssl, domain);
	}
	log_debug_in(LOG_AREA_TLS, "tls", LOG_STR("domain", domain),
		     LOG_STR("version", SSL_get_version(ssl)),
		     LOG_STR("cipher", SSL_get_cipher_name(ssl)),
		     LOG_STR("failure", failure ? failure_name(failure->kind) : ""),
		     LOG_STR("detail", failure ? failure->detail : ""));
}

static void on_redirected(void *userdata, const struct redirect *redirect)
{
	char text[ADDRESS_TEXT_MAX];
	const char *host = redirect->host;

	(void)userdata;
	log_debug_in(
		LOG_AREA_DIAL, "redirected",
		LOG_STR("host", host[0] ? host : address_format_host(&redirect->address, text)),
		LOG_NUMBER("port", redirect->port));
}

static void on_slow(void *userdata)
{
	(void)userdata;
	log_debug_in(LOG_AREA_STREAM, "server-slow",
		     LOG_STR("hint", "another server of the domain is looked for"));
}

static void on_left(void *userdata, const struct failure *failure)
{
	(void)userdata;
	log_debug_in(LOG_AREA_STREAM, "server-left",
		     LOG_STR("failure", failure_name(failure->kind)),
		     LOG_STR("detail", failure->detail));
}

static void on_handshake_took(void *userdata, int64_t us)
{
	const struct trace *trace = userdata;

	metrics_observe(trace->metrics, METRIC_HISTOGRAM_TLS, us);
}

void trace_init(struct trace *trace, struct metrics_cell *metrics, struct known_keys *known_keys)
{
	*trace = (struct trace){
		.metrics = metrics,
		.known_keys = known_keys,
		.lookup =
			{
				.answered = on_answered,
				.took = on_dns_took,
				.userdata = metrics,
			},
		.dial =
			{
				.dialled = on_dialled,
				.took = on_dial_took,
				.userdata = trace,
			},
		.link =
			{
				.header = on_header,
				.secured = on_secured,
				.redirected = on_redirected,
				.slow = on_slow,
				.left = on_left,
				.took = on_handshake_took,
				.userdata = trace,
			},
	};
}

void trace_observe(const struct trace *trace, struct link_env *env)
{
	env->dialer.observer = &trace->dial;
	env->observer = &trace->link;
}
