/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>

#include "gateway/tls-errors.h"
#include "gateway/wire/state.h"

/* The socket, as OpenSSL sees it. OpenSSL's own kind writes without MSG_NOSIGNAL, and asks the
 * kernel once more after it has got less than it asked for. */

static struct wire *wire_of(BIO *bio)
{
	return BIO_get_data(bio);
}

/* Reads bytes that arrived together with the end of the handshake. */
static int read_early(struct wire_tls *tls, char *data, int size)
{
	int n = BIO_read(tls->early, data, size);

	if (BIO_pending(tls->early) == 0) {
		BIO_free(tls->early);
		tls->early = NULL;
	}
	return n;
}

/* Checks only hellos: a client sends no other large message in clear text. It sends one hello with
 * TLS 1.2, and up to two with TLS 1.3. */
bool wire_tls_has_large_hello(struct wire_tls *tls, const char *data, size_t n)
{
	bool is_hello = !tls->hello.is_complete || SSL_version(tls->ssl) == TLS1_3_VERSION;

	if (is_hello && !SSL_is_init_finished(tls->ssl)) {
		hello_read(&tls->hello, (const unsigned char *)data, n);
	}
	return tls->hello.is_too_large;
}

/* Whether this turn has had its records, and there are, or may be, more. Those that OpenSSL holds
 * are no event, so the next turn is asked for. */
static bool ends_turn(struct wire *wire)
{
	size_t n_max = wire_portion(wire) / WIRE_RECORD_COST + 1;
	bool has_more = wire_tls_has_bytes(wire) || wire->is_hung_up;

	if (wire->tls->controls.n_records < n_max || !has_more) {
		return false;
	}
	wire_wake(wire);
	return true;
}

static int on_bio_read(BIO *bio, char *data, int size)
{
	struct wire *wire = wire_of(bio);
	struct wire_tls *tls = wire->tls;
	int n_most = wire_is_pressed(wire) && size > TLS_READ_SMALL ? TLS_READ_SMALL : size;

	BIO_clear_retry_flags(bio);
	if (tls_controls_are_too_many(&tls->controls)) {
		errno = EPROTO;
		return -1;
	}
	/* The end of a connection may have been reported with its last bytes. */
	if ((tls->is_drained && !wire->is_hung_up) || ends_turn(wire)) {
		BIO_set_retry_read(bio);
		errno = EAGAIN;
		return -1;
	}
	if (tls->early) {
		return read_early(tls, data, n_most);
	}
	ssize_t n = wire_receive(wire, data, (size_t)n_most, 0);

	/* What arrives from now on is reported by the epoll. */
	tls->is_drained = n > 0 ? n < n_most : n < 0 && errno == EAGAIN;
	tls->is_at_end = n == 0;
	if (n < 0 && errno == EAGAIN) {
		BIO_set_retry_read(bio);
	}
	if (n > 0 && wire_tls_has_large_hello(tls, data, (size_t)n)) {
		errno = EMSGSIZE;
		return -1;
	}
	return (int)n;
}

static int on_bio_write(BIO *bio, const char *data, int n)
{
	struct wire *wire = wire_of(bio);
	const struct iovec part = {(char *)data, (size_t)n};

	BIO_clear_retry_flags(bio);
	ssize_t r = wire_transmit(wire, &part, 1);

	if (r < 0 && errno == EAGAIN) {
		BIO_set_retry_write(bio);
	}
	return (int)r;
}

static long on_bio_control(BIO *bio, int command, long number, void *pointer)
{
	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH ||
	       (command == BIO_CTRL_EOF && wire_of(bio)->tls->is_at_end);
}

static BIO_METHOD *method;

static void make_method(void)
{
	BIO_METHOD *made = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "wire");

	if (made && BIO_meth_set_read(made, on_bio_read) &&
	    BIO_meth_set_write(made, on_bio_write) && BIO_meth_set_ctrl(made, on_bio_control)) {
		method = made;
	}
}

BIO *wire_bio_new(struct wire *wire)
{
	static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
	BIO *bio = CRYPTO_THREAD_run_once(&once, make_method) && method ? BIO_new(method) : NULL;

	if (bio) {
		BIO_set_data(bio, wire);
		BIO_set_init(bio, 1);
	}
	return bio;
}

SSL *wire_ssl(const struct wire *wire)
{
	return wire->tls ? wire->tls->ssl : NULL;
}

/* Results. */

enum wire_result wire_tls_result(struct wire *wire, int r)
{
	struct wire_tls *tls = wire->tls;
	int error = SSL_get_error(tls->ssl, r);

	tls_errors_clear();
	switch (error) {
	case SSL_ERROR_WANT_READ:
		/* There may be more than this turn has room for. */
		return wire->is_broken && tls->is_drained ? WIRE_BROKEN : WIRE_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		tls->wants_write = true;
		wire_want_write(wire, true);
		return WIRE_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		wire->is_hung_up = true;
		return WIRE_ENDED;
	default:
		wire->is_hung_up = true;
		return WIRE_BROKEN;
	}
}

const char *wire_tls_reason(const struct wire_tls *tls, int r, int error)
{
	unsigned long code = ERR_peek_error();
	long verified = SSL_get_verify_result(tls->ssl);
	const char *reason = ERR_reason_error_string(code);

	if (tls->hello.is_too_large) {
		return "the client's hello is too large";
	}

	if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
	    ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED) {
		return X509_verify_cert_error_string(verified);
	}
	if (reason) {
		return reason;
	}
	if (r < 0 && error) {
		reason = strerrordesc_np(error);
	}
	return reason ? reason : "the client closed the connection within the handshake";
}

/* Receiving. */

enum wire_result wire_tls_receive(struct wire *wire, char *data, size_t size, size_t *ret_n)
{
	enum wire_result result = WIRE_AGAIN;
	size_t n_read = 0;

	while (n_read < size && !ends_turn(wire)) {
		size_t n = 0;

		tls_errors_clear();
		int r = SSL_read_ex(wire->tls->ssl, data + n_read, size - n_read, &n);

		n_read += n;
		if (r != 1) {
			result = wire_tls_result(wire, r);
			break;
		}
	}
	*ret_n = n_read;
	return n_read ? WIRE_OK : result;
}

/* Sending. */

/* Gathers what follows the first @n_skipped bytes of @parts, up to a record. One that is encrypted
 * already does not grow: OpenSSL would not say that it was sent before what was added is sent. */
static struct sv gather(struct wire *wire, const struct iovec *parts, size_t n_parts,
			size_t n_skipped)
{
	struct wire_hub *hub = wire->hub;
	size_t n_max = wire->tls->n_committed ? wire->tls->n_committed : WIRE_RECORD_MAX, n = 0;

	for (size_t i = 0; i < n_parts && n < n_max; i++) {
		struct sv part = {parts[i].iov_base, parts[i].iov_len};
		size_t n_over = n_skipped < part.n ? n_skipped : part.n;

		n_skipped -= n_over;
		part = sv_first(sv_skip(part, n_over), n_max - n);
		if (part.n) {
			memcpy(hub->record + n, part.data, part.n);
			n += part.n;
		}
	}
	return (struct sv){hub->record, n};
}

size_t wire_tls_transmit(struct wire *wire, const struct iovec *parts, size_t n_parts,
			 bool *ret_is_broken)
{
	size_t n_sent = 0;
	struct sv record;

	*ret_is_broken = false;
	while ((record = gather(wire, parts, n_parts, n_sent)).n) {
		size_t n = 0;

		tls_errors_clear();
		int r = SSL_write_ex(wire->tls->ssl, record.data, record.n, &n);

		if (r != 1) {
			enum wire_result result = wire_tls_result(wire, r);

			*ret_is_broken = result != WIRE_AGAIN;
			wire->tls->n_committed = (uint16_t)record.n;
			break;
		}
		wire->tls->n_committed = 0;
		n_sent += n;
	}
	return n_sent;
}

bool wire_tls_end(struct wire *wire)
{
	struct wire_tls *tls = wire->tls;

	if (wire_is_lent(wire) || !SSL_is_init_finished(tls->ssl)) {
		return true;
	}
	tls_errors_clear();
	int r = SSL_shutdown(tls->ssl);

	return r >= 0 || wire_tls_result(wire, r) != WIRE_AGAIN;
}

bool wire_tls_is_flooded(const struct wire *wire)
{
	return wire->tls && !wire_is_lent(wire) && tls_controls_are_too_many(&wire->tls->controls);
}

bool wire_tls_has_bytes(const struct wire *wire)
{
	return wire->tls && wire->tls->ssl &&
	       (SSL_has_pending(wire->tls->ssl) || wire->tls->early || !wire->tls->is_drained);
}
