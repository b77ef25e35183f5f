/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/channel-bio.h"

#include <errno.h>
#include <sys/socket.h>

/* Whether OpenSSL writes the last bytes of the handshake. The owner then sends his first, so that
 * both fit into one packet; and if he does not, channel_push() comes. */
static bool ends_handshake(const struct channel *channel)
{
	const SSL *ssl = channel->ssl;

	return ssl && SSL_get_state(ssl) == TLS_ST_CW_FINISHED &&
	       (SSL_version(ssl) >= TLS1_3_VERSION || SSL_session_reused(ssl));
}

ssize_t channel_send(struct channel *channel, const char *data, size_t n)
{
	bool is_held_back = channel->is_corked || ends_handshake(channel);
	ssize_t r;

	do {
		r = send(channel->fd, data, n, MSG_NOSIGNAL | (is_held_back ? MSG_MORE : 0));
	} while (r < 0 && errno == EINTR);
	if (r >= 0) {
		channel->is_held_back = is_held_back;
	}
	return r;
}

static int on_write(BIO *bio, const char *data, int n)
{
	struct channel *channel = BIO_get_data(bio);
	ssize_t r = channel_send(channel, data, (size_t)n);

	channel->n_answered = channel->n_received;
	BIO_clear_retry_flags(bio);
	if (r < 0 && errno == EAGAIN) {
		BIO_set_retry_write(bio);
	}
	return (int)r;
}

/* How many of @size bytes may be read at once. */
static size_t most(const struct channel *channel, size_t size)
{
	size_t n = channel->n_received_max - channel->n_received;

	if (channel->is_pressed && n > TLS_READ_SMALL) {
		n = TLS_READ_SMALL;
	}
	return size < n ? size : n;
}

static int on_read(BIO *bio, char *data, int size)
{
	struct channel *channel = BIO_get_data(bio);
	ssize_t n;

	BIO_clear_retry_flags(bio);
	/* OpenSSL reads on within one call as long as there are bytes of an unfinished record: a
	 * flood has to be stopped below it. */
	if (channel_is_flooded(channel)) {
		return -1;
	}
	if (channel_has_read_enough(channel) || channel_is_stopped(channel)) {
		/* The socket tells again that it is readable. */
		BIO_set_retry_read(bio);
		return -1;
	}
	do {
		n = recv(channel->fd, data, most(channel, (size_t)size), 0);
	} while (n < 0 && errno == EINTR);
	channel->is_at_end = n == 0;
	if (n > 0 && !channel->is_secure) {
		channel->n_received += (size_t)n;
	}
	if (n < 0 && errno == EAGAIN) {
		BIO_set_retry_read(bio);
	}
	return (int)n;
}

static long on_control(BIO *bio, int command, long number, void *pointer)
{
	const struct channel *channel = BIO_get_data(bio);

	(void)number;
	(void)pointer;
	return command == BIO_CTRL_FLUSH || (command == BIO_CTRL_EOF && channel->is_at_end);
}

static BIO_METHOD *method;

static void make_method(void)
{
	BIO_METHOD *made = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "channel");

	if (made && BIO_meth_set_read(made, on_read) && BIO_meth_set_write(made, on_write) &&
	    BIO_meth_set_ctrl(made, on_control)) {
		method = made;
	}
}

BIO *channel_bio_new(struct channel *channel)
{
	static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
	BIO *bio = CRYPTO_THREAD_run_once(&once, make_method) && method ? BIO_new(method) : NULL;

	if (bio) {
		BIO_set_data(bio, channel);
		BIO_set_init(bio, 1);
	}
	return bio;
}
