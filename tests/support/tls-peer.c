/* SPDX-License-Identifier: MIT */
/*
 * TLS for a scripted server or client, that can do what Node's TLS cannot: what is sent in clear
 * text to this program goes out through TLS, but for commands within it.
 *
 *     tls-peer serve PORT [OPTION...]     prints the port it listens on; each connection, without
 *                                         its TLS, goes to PORT of 127.0.0.1
 *     tls-peer connect PORT [OPTION...]   connects, and relays standard input and output
 *
 * cert=FILE key=FILE   of a server
 * version=1.2          the only one; the default is 1.3
 * alpn=NAME            a server chooses this protocol, whatever it was offered
 * drip=MS              sends its handshake in single bytes, MS apart
 *
 * A command is <?tls WORD N?>; N may be left out.
 *
 * key-update    N key updates                   key-update-asked  N, each to be answered with one
 * ticket        N session tickets               hello-request     N requests to renegotiate
 * long-ticket   a ticket with N bytes more than usual
 * half-ticket   sends the first N bytes of a long ticket, and nothing after them
 * rest          sends what half-ticket has held back, and goes on
 * close-notify  says that nothing more is sent; the connection stays
 */
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BUFFER_SIZE = 65536,
	WORD_SIZE = 32,
	N_LONG_TICKET = 12000,
	N_FRAGMENT = 8192, /* so that it takes two records */
};

static const char mark[] = "<?tls ";

struct options {
	const char *cert, *key, *alpn;
	int version;
	unsigned drip_ms;
};

struct relay {
	SSL *ssl;
	BIO *in, *out; /* what TLS has received, and what it wants to send */
	int fd, clear_in, clear_out;
	unsigned drip_ms;        /* 0 once the handshake is done */
	size_t n_left;           /* of what may be sent at all */
	size_t n_padding;        /* of the next tickets */
	char clear[BUFFER_SIZE]; /* not sent through TLS yet */
	size_t n_clear;
};

static void must(bool good, const char *what)
{
	if (!good) {
		fprintf(stderr, "tls-peer: %s: %s\n", what,
			ERR_peek_error() ? ERR_reason_error_string(ERR_peek_error()) : "failed");
		exit(EXIT_FAILURE);
	}
}

static unsigned number_of(const char *text)
{
	return (unsigned)strtoul(text, NULL, 10);
}

static void write_all(int fd, const char *bytes, size_t n)
{
	while (n) {
		ssize_t n_written = write(fd, bytes, n);

		if (n_written <= 0) {
			exit(EXIT_SUCCESS); /* The other side has gone. */
		}
		bytes += n_written;
		n -= (size_t)n_written;
	}
}

static int n_most(const struct relay *relay)
{
	return relay->n_left < BUFFER_SIZE ? (int)relay->n_left : BUFFER_SIZE;
}

/* Sends what TLS wants to send. */
static void flush_out(struct relay *relay)
{
	char bytes[BUFFER_SIZE];
	int n_read;

	while (relay->n_left && (n_read = BIO_read(relay->out, bytes, n_most(relay))) > 0) {
		size_t n = (size_t)n_read, n_piece = relay->drip_ms ? 1 : n;

		relay->n_left -= n;
		for (size_t at = 0; at < n; at += n_piece) {
			write_all(relay->fd, bytes + at, n_piece);
			usleep(relay->drip_ms * 1000);
		}
	}
}

/* Handles what has arrived. */
static void take_in(struct relay *relay)
{
	char bytes[BUFFER_SIZE];
	int n;

	if (!SSL_is_init_finished(relay->ssl)) {
		(void)SSL_do_handshake(relay->ssl);
		flush_out(relay);
	}
	if (SSL_is_init_finished(relay->ssl)) {
		relay->drip_ms = 0;
		while ((n = SSL_read(relay->ssl, bytes, sizeof(bytes))) > 0) {
			write_all(relay->clear_out, bytes, (size_t)n);
		}
	}
	flush_out(relay);
	ERR_clear_error();
}

/* A message for which OpenSSL has a function, sent with the next step of the handshake. */
static void send_message(struct relay *relay, bool good)
{
	must(good, "a message");
	(void)SSL_do_handshake(relay->ssl);
	ERR_clear_error();
	flush_out(relay);
}

static int on_make_ticket(SSL *ssl, void *userdata)
{
	static const char bytes[BUFFER_SIZE];
	const struct relay *relay = SSL_get_app_data(ssl);

	(void)userdata;
	return relay->n_padding == 0 ||
	       SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), bytes, relay->n_padding);
}

/* No session is resumed: each handshake brings the same number of tickets. */
static SSL_TICKET_RETURN on_read_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
					size_t n_name, SSL_TICKET_STATUS status, void *userdata)
{
	(void)ssl;
	(void)session;
	(void)name;
	(void)n_name;
	(void)status;
	(void)userdata;
	return SSL_TICKET_RETURN_IGNORE_RENEW;
}

/* @command is "WORD N?>" or "WORD?>". */
static void carry_out(struct relay *relay, const char *command)
{
	size_t n_word = strcspn(command, " ?");
	unsigned n = command[n_word] == ' ' ? number_of(command + n_word) : 1;
	SSL *ssl = relay->ssl;
	char word[WORD_SIZE];

	(void)snprintf(word, sizeof(word), "%.*s", (int)n_word, command);
	if (strcmp(word, "half-ticket") == 0) {
		relay->n_left = n;
		relay->n_padding = N_LONG_TICKET;
		must(SSL_set_max_send_fragment(ssl, N_FRAGMENT) == 1, "fragments");
		send_message(relay, SSL_new_session_ticket(ssl));
		return;
	}
	if (strcmp(word, "long-ticket") == 0) {
		relay->n_padding = n;
		send_message(relay, SSL_new_session_ticket(ssl));
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(word, "key-update") == 0) {
			send_message(relay, SSL_key_update(ssl, SSL_KEY_UPDATE_NOT_REQUESTED));
		} else if (strcmp(word, "key-update-asked") == 0) {
			send_message(relay, SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED));
		} else if (strcmp(word, "ticket") == 0) {
			send_message(relay, SSL_new_session_ticket(ssl));
		} else if (strcmp(word, "hello-request") == 0) {
			send_message(relay, SSL_renegotiate(ssl));
		} else if (strcmp(word, "rest") == 0) {
			relay->n_left = SIZE_MAX;
			flush_out(relay);
		} else {
			must(strcmp(word, "close-notify") == 0, word);
			(void)SSL_shutdown(ssl);
			flush_out(relay);
		}
	}
}

/* Where the next command begins, or a part of one at the end. */
static size_t find_mark(const char *bytes, size_t n)
{
	for (size_t at = 0; at < n; at++) {
		size_t n_mark = n - at < sizeof(mark) - 1 ? n - at : sizeof(mark) - 1;

		if (memcmp(bytes + at, mark, n_mark) == 0) {
			return at;
		}
	}
	return n;
}

static void give_out(struct relay *relay)
{
	size_t n;

	while ((n = find_mark(relay->clear, relay->n_clear)) || relay->n_clear) {
		if (n) {
			/* After close-notify nothing goes out. */
			(void)SSL_write(relay->ssl, relay->clear, (int)n);
			flush_out(relay);
		} else {
			const char *end = memmem(relay->clear, relay->n_clear, "?>", 2);

			if (!end) {
				return;
			}
			n = (size_t)(end - relay->clear) + 2;
			carry_out(relay, relay->clear + sizeof(mark) - 1);
		}
		relay->n_clear -= n;
		memmove(relay->clear, relay->clear + n, relay->n_clear);
	}
}

static void run(struct relay *relay)
{
	char bytes[BUFFER_SIZE];

	take_in(relay);
	for (;;) {
		size_t n_room = relay->n_clear < sizeof(relay->clear) - 1
				      ? sizeof(relay->clear) - 1 - relay->n_clear
				      : 0;
		bool may_give = SSL_is_init_finished(relay->ssl) && n_room > 0;
		struct pollfd fds[] = {{relay->fd, POLLIN, 0},
				       {may_give ? relay->clear_in : -1, POLLIN, 0}};
		ssize_t n;

		must(poll(fds, 2, -1) > 0, "poll");
		if (fds[0].revents) {
			n = read(relay->fd, bytes, sizeof(bytes));
			if (n <= 0) {
				return;
			}
			BIO_write(relay->in, bytes, (int)n);
			take_in(relay);
		}
		if (fds[1].revents) {
			n = read(relay->clear_in, relay->clear + relay->n_clear, n_room);
			if (n <= 0) {
				return;
			}
			relay->n_clear += (size_t)n;
			relay->clear[relay->n_clear] = '\0';
			give_out(relay);
		}
	}
}

static int on_alpn(SSL *ssl, const unsigned char **ret_name, unsigned char *ret_n,
		   const unsigned char *offered, unsigned n_offered, void *userdata)
{
	const char *name = userdata;

	(void)ssl;
	(void)offered;
	(void)n_offered;
	*ret_name = (const unsigned char *)name;
	*ret_n = (unsigned char)strlen(name);
	return SSL_TLSEXT_ERR_OK;
}

static SSL_CTX *context_new(const struct options *options)
{
	SSL_CTX *context = SSL_CTX_new(TLS_method());

	must(context && SSL_CTX_set_min_proto_version(context, options->version) &&
		     SSL_CTX_set_max_proto_version(context, options->version),
	     "version");
	SSL_CTX_set_session_ticket_cb(context, on_make_ticket, on_read_ticket, NULL);
	if (options->cert) {
		must(SSL_CTX_use_certificate_chain_file(context, options->cert) == 1 &&
			     SSL_CTX_use_PrivateKey_file(context, options->key, SSL_FILETYPE_PEM),
		     options->cert);
	}
	if (options->alpn) {
		SSL_CTX_set_alpn_select_cb(context, on_alpn, (void *)options->alpn);
	}
	return context;
}

static int connect_to(const char *port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons((uint16_t)number_of(port)),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	must(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "connect");
	return fd;
}

static void relay_connection(SSL_CTX *context, const struct options *options, bool is_server,
			     int fd, int clear_in, int clear_out)
{
	static struct relay relay;

	relay = (struct relay){.ssl = SSL_new(context),
			       .in = BIO_new(BIO_s_mem()),
			       .out = BIO_new(BIO_s_mem()),
			       .fd = fd,
			       .clear_in = clear_in,
			       .clear_out = clear_out,
			       .drip_ms = options->drip_ms,
			       .n_left = SIZE_MAX};
	SSL_set_app_data(relay.ssl, &relay);
	SSL_set_bio(relay.ssl, relay.in, relay.out);
	if (is_server) {
		SSL_set_accept_state(relay.ssl);
	} else {
		SSL_set_connect_state(relay.ssl);
	}
	run(&relay);
}

static void serve(SSL_CTX *context, const struct options *options, const char *clear_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	int listener = socket(AF_INET, SOCK_STREAM, 0), fd;

	must(bind(listener, (struct sockaddr *)&address, size) == 0 && listen(listener, 64) == 0 &&
		     getsockname(listener, (struct sockaddr *)&address, &size) == 0,
	     "listen");
	printf("%u\n", ntohs(address.sin_port));
	fflush(stdout);
	signal(SIGCHLD, SIG_IGN);
	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (fork() == 0) {
			int clear = connect_to(clear_port);

			close(listener);
			relay_connection(context, options, true, fd, clear, clear);
			exit(EXIT_SUCCESS);
		}
		close(fd);
	}
}

int main(int argc, char *argv[])
{
	struct options options = {.version = TLS1_3_VERSION};

	must(argc > 2, "usage: tls-peer serve|connect PORT [OPTION...]");
	for (int i = 3; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		must(value, argv[i]);
		*value++ = '\0';
		if (strcmp(argv[i], "cert") == 0) {
			options.cert = value;
		} else if (strcmp(argv[i], "key") == 0) {
			options.key = value;
		} else if (strcmp(argv[i], "alpn") == 0) {
			options.alpn = value;
		} else if (strcmp(argv[i], "drip") == 0) {
			options.drip_ms = number_of(value);
		} else {
			must(strcmp(argv[i], "version") == 0, argv[i]);
			options.version =
				strcmp(value, "1.2") == 0 ? TLS1_2_VERSION : TLS1_3_VERSION;
		}
	}
	signal(SIGPIPE, SIG_IGN);
	SSL_CTX *context = context_new(&options);

	if (strcmp(argv[1], "serve") == 0) {
		serve(context, &options, argv[2]);
	} else {
		relay_connection(context, &options, false, connect_to(argv[2]), STDIN_FILENO,
				 STDOUT_FILENO);
	}
	return EXIT_SUCCESS;
}
