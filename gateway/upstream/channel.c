/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/channel.h"

#include <errno.h>
#include <limits.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/tls-errors.h"
#include "gateway/upstream/channel-bio.h"
#include "gateway/upstream/tls/tls.h"

const char *channel_error(int error)
{
	const char *words = strerrordesc_np(error);

	return words ? words : "unknown error";
}

void channel_deinit(struct channel *channel)
{
	channel->ssl = tls_connection_free(channel->ssl);
	if (channel->fd >= 0) {
		close(channel->fd);
		channel->fd = -1;
	}
}

static enum channel_result channel_break(struct channel *channel, int error)
{
	channel->error = channel_error(error);
	return CHANNEL_BROKEN;
}

static enum channel_result break_flooded(struct channel *channel)
{
	channel->error = "too many TLS messages without data";
	tls_errors_clear();
	return CHANNEL_BROKEN;
}

/* Translates @wanted, the result of SSL_get_error(); @error is errno right after the call.
 * WANT_READ and WANT_WRITE both become CHANNEL_AGAIN: the caller notes which of them it was. */
static enum channel_result tls_result(struct channel *channel, int wanted, int error)
{
	const char *reason;

	if (channel_is_flooded(channel)) {
		return break_flooded(channel);
	}
	switch (wanted) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return CHANNEL_AGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return CHANNEL_ENDED;
	case SSL_ERROR_SYSCALL:
		if (error == 0) {
			return CHANNEL_ENDED;
		}
		return channel_break(channel, error);
	default:
		reason = ERR_reason_error_string(ERR_peek_error());
		channel->error = reason ? reason : "TLS failed";
		tls_errors_clear();
		return CHANNEL_BROKEN;
	}
}

/* A call begins, which may read so many records. */
static void allow_records(struct channel *channel, size_t n)
{
	channel->controls.n_records = 0;
	channel->n_records_max = n;
}

static enum channel_result write_tls(struct channel *channel, const char *data, size_t n,
				     size_t *n_written)
{
	/* OpenSSL first reads the rest of a message that has begun. */
	allow_records(channel, CHANNEL_RECORD_MAX / CHANNEL_RECORD_COST);
	channel->write_wants_read = false;
	while (*n_written < n) {
		size_t n_taken = 0;

		tls_errors_clear();
		errno = 0;
		int r = SSL_write_ex(channel->ssl, data + *n_written, n - *n_written, &n_taken);

		if (r <= 0) {
			int error = errno;
			int wanted = SSL_get_error(channel->ssl, r);
			enum channel_result result = tls_result(channel, wanted, error);

			channel->write_wants_read = wanted == SSL_ERROR_WANT_READ;
			if (result == CHANNEL_ENDED) {
				return channel_break(channel, EPIPE);
			}
			return result;
		}
		*n_written += n_taken;
	}
	return CHANNEL_OK;
}

static enum channel_result write_clear(struct channel *channel, const char *data, size_t n,
				       size_t *n_written)
{
	ssize_t r = channel_send(channel, data, n);

	if (r < 0) {
		return errno == EAGAIN ? CHANNEL_AGAIN : channel_break(channel, errno);
	}
	*n_written = (size_t)r;
	/* A short write means that the socket is full. Trying again would only return EAGAIN. */
	return *n_written == n ? CHANNEL_OK : CHANNEL_AGAIN;
}

enum channel_result channel_write(struct channel *channel, const char *data, size_t n,
				  size_t *ret_n_written)
{
	*ret_n_written = 0;
	return channel->is_secure ? write_tls(channel, data, n, ret_n_written)
				  : write_clear(channel, data, n, ret_n_written);
}

/* The result of a read. If it was stopped because it had read enough, the socket may have more:
 * it was not asked. */
static enum channel_result read_result(struct channel *channel, int wanted, int error)
{
	enum channel_result result = tls_result(channel, wanted, error);
	bool is_stopped = wanted == SSL_ERROR_WANT_READ && channel_has_read_enough(channel);

	return result == CHANNEL_AGAIN && is_stopped ? CHANNEL_OK : result;
}

static enum channel_result read_tls(struct channel *channel, char *data, size_t size,
				    size_t *n_read)
{
	allow_records(channel, size / CHANNEL_RECORD_COST + 1);
	channel->read_wants_write = false;
	do {
		size_t n = 0;

		tls_errors_clear();
		errno = 0;
		int r = SSL_read_ex(channel->ssl, data + *n_read, size - *n_read, &n);

		if (r <= 0) {
			int error = errno;
			int wanted = SSL_get_error(channel->ssl, r);

			channel->read_wants_write = wanted == SSL_ERROR_WANT_WRITE;
			/* A session ticket makes OpenSSL allocate a buffer for writing, which it
			 * would keep until the next write. */
			(void)SSL_free_buffers(channel->ssl);
			return read_result(channel, wanted, error);
		}
		*n_read += n;
		/* Once TLS holds nothing more, wait for the poll instead of spending a read(2) on
		 * EAGAIN. */
	} while (*n_read < size && !channel_has_read_enough(channel) &&
		 SSL_has_pending(channel->ssl));
	return CHANNEL_OK;
}

static enum channel_result read_clear(struct channel *channel, char *data, size_t size,
				      size_t *n_read)
{
	for (;;) {
		ssize_t r = recv(channel->fd, data, size, 0);

		if (r > 0) {
			*n_read = (size_t)r;
			return CHANNEL_OK;
		}
		if (r == 0) {
			return CHANNEL_ENDED;
		}
		if (errno == EAGAIN) {
			return CHANNEL_AGAIN;
		}
		if (errno != EINTR) {
			return channel_break(channel, errno);
		}
	}
}

enum channel_result channel_read(struct channel *channel, char *data, size_t size,
				 size_t *ret_n_read)
{
	*ret_n_read = 0;
	return channel->is_secure ? read_tls(channel, data, size, ret_n_read)
				  : read_clear(channel, data, size, ret_n_read);
}

bool channel_discard(struct channel *channel, char *data, size_t size)
{
	size_t n;

	switch (read_clear(channel, data, size, &n)) {
	case CHANNEL_OK:
	case CHANNEL_AGAIN:
		return true;
	default:
		return false;
	}
}

int channel_secure(struct channel *channel, SSL *ssl)
{
	BIO *bio = channel_bio_new(channel);

	channel->ssl = ssl;
	channel->read_wants_write = true;
	channel->n_received_max = SIZE_MAX;
	if (!bio) {
		tls_errors_clear();
		return -ENOMEM;
	}
	SSL_set_bio(ssl, bio, bio);
	tls_controls_watch(&channel->controls, ssl);
	return 0;
}

static enum channel_result handshake(struct channel *channel)
{
	allow_records(channel, SIZE_MAX);
	tls_errors_clear();
	errno = 0;
	int r = SSL_do_handshake(channel->ssl);
	int error = errno;

	channel->read_wants_write = false;
	channel->error = NULL;
	if (r == 1) {
		channel->is_secure = true;
		channel->n_received_max = SIZE_MAX;
		return CHANNEL_OK;
	}
	if (channel_is_flooded(channel)) {
		return break_flooded(channel);
	}
	switch (SSL_get_error(channel->ssl, r)) {
	case SSL_ERROR_WANT_READ:
		return CHANNEL_AGAIN;
	case SSL_ERROR_WANT_WRITE:
		channel->read_wants_write = true;
		return CHANNEL_AGAIN;
	case SSL_ERROR_SYSCALL:
		if (error) {
			return channel_break(channel, error);
		}
		return CHANNEL_BROKEN;
	default:
		return CHANNEL_BROKEN;
	}
}

/* OpenSSL names the reason once: to the call in which the handshake fails. */
enum channel_result channel_handshake(struct channel *channel)
{
	unsigned long error = channel->handshake_error;

	if (channel->handshake_is_broken) {
		tls_errors_clear();
		if (error) {
			ERR_raise(ERR_GET_LIB(error), ERR_GET_REASON(error));
		}
		return CHANNEL_BROKEN;
	}
	enum channel_result result = handshake(channel);

	if (result == CHANNEL_BROKEN) {
		channel->handshake_is_broken = true;
		channel->handshake_error = ERR_peek_error();
	}
	return result;
}

void channel_push(struct channel *channel)
{
	if (channel->is_held_back) {
		/* Setting it makes the kernel send what it has. */
		(void)setsockopt(channel->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
		channel->is_held_back = false;
	}
}

enum channel_result channel_shutdown(struct channel *channel)
{
	if (channel->is_secure) {
		tls_errors_clear();
		int r = SSL_shutdown(channel->ssl);
		int wanted = r < 0 ? SSL_get_error(channel->ssl, r) : SSL_ERROR_NONE;

		tls_errors_clear();
		if (wanted == SSL_ERROR_WANT_WRITE) {
			return CHANNEL_AGAIN;
		}
	}
	return shutdown(channel->fd, SHUT_WR) < 0 ? channel_break(channel, errno) : CHANNEL_OK;
}
