/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "gateway/tls-errors.h"
#include "gateway/wire/state.h"

enum {
	/* Read at once. A hello that fits is one step. */
	CHUNK = 4096,
};

/* In the helper's thread. */
static void on_run(struct job *job)
{
	struct wire_shake *shake = CONTAINER_OF(job, struct wire_shake, job);
	SSL *ssl = shake->tls->ssl;

	tls_errors_clear();
	int r = SSL_do_handshake(ssl);

	if (r == 1) {
		shake->outcome = WIRE_SHAKE_DONE;
	} else if (SSL_get_error(ssl, r) == SSL_ERROR_WANT_READ) {
		shake->outcome = WIRE_SHAKE_MORE;
	} else {
		shake->outcome = WIRE_SHAKE_FAILED;
		/* Each thread has its own error queue: the loop cannot read this one. */
		shake->reason = wire_tls_reason(shake->tls, r, 0);
	}
}

/* Returns false if the helper has it. */
static bool take_back(struct wire_shake *shake)
{
	shake->wire = NULL;
	return helper_remove(shake->helper, &shake->job);
}

struct wire_tls *wire_tls_free(struct wire_tls *tls)
{
	if (tls && (!tls->shake || take_back(tls->shake))) {
		SSL_CTX_free(tls->context);
		SSL_free(tls->ssl);
		BIO_free(tls->early);
		free(tls->shake);
		free(tls);
	}
	return NULL;
}

static void on_done(struct job *job)
{
	struct wire_shake *shake = CONTAINER_OF(job, struct wire_shake, job);

	if (shake->wire) {
		wire_wake(shake->wire);
	} else {
		wire_tls_free(shake->tls);
	}
}

int wire_shake_begin(struct wire *wire)
{
	struct wire_tls *tls = wire->tls;
	struct wire_shake *shake = malloc(sizeof(*shake));
	BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());

	if (!shake || !in || !out) {
		free(shake);
		BIO_free(in);
		BIO_free(out);
		return -ENOMEM;
	}
	*shake = (struct wire_shake){
		.job = {.item = &shake->item, .run = on_run, .done = on_done},
		.helper = wire->hub->options.helper,
		.wire = wire,
		.tls = tls,
		.in = in,
		.out = out,
	};
	turn_item_init(&shake->item, wire->turn.crowd, NULL);
	SSL_set_bio(tls->ssl, in, out);
	tls->shake = shake;
	return 0;
}

/* Returns WIRE_OK when everything is sent. */
static enum wire_result send_out(struct wire *wire)
{
	struct wire_shake *shake = wire->tls->shake;
	char *data, passed[CHUNK];
	long n;

	while ((n = BIO_get_mem_data(shake->out, &data)) > 0) {
		size_t n_most = (size_t)n < sizeof(passed) ? (size_t)n : sizeof(passed);
		const struct iovec part = {data, n_most};
		ssize_t r = wire_transmit(wire, &part, 1);

		if (r < 0 && errno == EAGAIN) {
			wire->tls->wants_write = true;
			wire_want_write(wire, true);
			return WIRE_AGAIN;
		}
		if (r < 0 || BIO_read(shake->out, passed, (int)r) != r) {
			return WIRE_BROKEN;
		}
	}
	return WIRE_OK;
}

/* Reads what has arrived, once. */
static enum wire_result fetch(struct wire *wire, const char **ret_reason)
{
	struct wire_tls *tls = wire->tls;
	char bytes[CHUNK];
	ssize_t n = wire_receive(wire, bytes, sizeof(bytes), 0);

	if (n < 0 && errno == EAGAIN) {
		return WIRE_AGAIN;
	}
	if (n > 0 && wire_tls_has_large_hello(tls, bytes, (size_t)n)) {
		*ret_reason = wire_tls_reason(tls, -1, 0);
	} else if (n > 0 && BIO_write(tls->shake->in, bytes, (int)n) != n) {
		*ret_reason = "out of memory";
	} else if (n > 0) {
		return WIRE_OK;
	} else {
		*ret_reason = wire_tls_reason(tls, -1, n < 0 ? errno : 0);
	}
	return WIRE_BROKEN;
}

/* Whether to hand over what has arrived: a whole hello, or what OpenSSL rejects, because it is none
 * or has more bytes than one may have. Otherwise the helper would get each small piece of a hello
 * by itself. */
static bool is_enough(const struct wire_tls *tls)
{
	return tls->hello.is_complete || tls->hello.is_other ||
	       BIO_pending(tls->shake->in) > HELLO_MAX;
}

static enum wire_result lend(struct wire *wire, const char **ret_reason)
{
	struct wire_shake *shake = wire->tls->shake;
	enum wire_result result;

	do {
		result = fetch(wire, ret_reason);
	} while (result == WIRE_OK && !is_enough(wire->tls));
	if (result != WIRE_OK) {
		return result;
	}
	helper_add(shake->helper, &shake->job);
	return WIRE_AGAIN;
}

enum wire_result wire_shake_on(struct wire *wire, const char **ret_reason)
{
	struct wire_shake *shake = wire->tls->shake;

	if (wire_is_lent(wire)) {
		return WIRE_AGAIN;
	}
	enum wire_result result = send_out(wire);

	if (shake->outcome == WIRE_SHAKE_FAILED) {
		/* send_out() has sent the alert, if the socket took it. */
		*ret_reason = shake->reason;
		return WIRE_BROKEN;
	}
	if (result == WIRE_BROKEN) {
		*ret_reason = wire_tls_reason(wire->tls, -1, errno);
	}
	if (result != WIRE_OK || shake->outcome == WIRE_SHAKE_DONE) {
		return result;
	}
	return lend(wire, ret_reason);
}

void wire_shake_end(struct wire_tls *tls)
{
	struct wire_shake *shake = tls->shake;

	if (BIO_pending(shake->in) && BIO_up_ref(shake->in)) {
		tls->early = shake->in;
	}
	tls->shake = NULL;
	free(shake);
}
