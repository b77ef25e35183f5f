/* SPDX-License-Identifier: MIT */
#include "gateway/ops/admin-client.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/ascii.h"
#include "common/writer.h"
#include "gateway/ops/admin-socket.h"

enum {
	EXIT_NO = 1,
	EXIT_CANNOT = 2,
	/* Longer than the gateway waits for its workers. */
	TIMEOUT_S = 15,
	/* A million sessions of 150 bytes: what answers on the port may be something else. */
	ANSWER_MAX = 256 * 1024 * 1024,
	PIECE = 16384,
	STATUS_DIGITS = 3,
	STATUS_OK = 200,
};

static const struct sv head_end = SV_INIT("\r\n\r\n");

/* Appends @text as part of a query: all but letters and digits as %XX. */
static void write_escaped(struct writer *writer, struct sv text)
{
	for (size_t i = 0; i < text.n; i++) {
		unsigned char c = (unsigned char)text.data[i];

		writer_printf(writer, ascii_is_alphanumeric(c) ? "%c" : "%%%02X", c);
	}
}

static void write_target(struct writer *writer, enum admin_client_question question,
			 const char *value, bool is_coloured)
{
	struct sv session = sv_from(value);
	size_t n_name = sv_find(session, '@');

	switch (question) {
	case ADMIN_CLIENT_STATUS:
		writer_put(writer, is_coloured ? SV("GET /status?colour=1") : SV("GET /status"));
		break;
	case ADMIN_CLIENT_SESSIONS:
		writer_put(writer, SV("GET /sessions"));
		break;
	case ADMIN_CLIENT_KICK:
		writer_put(writer, SV("POST /kick?session="));
		write_escaped(writer, sv_first(session, n_name));
		if (n_name < session.n) {
			writer_put(writer, SV("&client="));
			write_escaped(writer, sv_skip(session, n_name + 1));
		}
		break;
	}
}

static int write_request(struct buffer *request, enum admin_client_question question,
			 const char *value, bool is_coloured)
{
	struct writer writer = writer_begin(request);

	write_target(&writer, question, value, is_coloured);
	writer_put(&writer, SV(" HTTP/1.0\r\nHost: localhost\r\nAccept: text/plain\r\n"
			       "Content-Length: 0\r\n\r\n"));
	return writer_end(&writer);
}

static int send_all(int fd, struct sv bytes)
{
	while (bytes.n) {
		ssize_t n = send(fd, bytes.data, bytes.n, MSG_NOSIGNAL);

		if (n < 0 && errno != EINTR) {
			return -errno;
		}
		bytes = sv_skip(bytes, n > 0 ? (size_t)n : 0);
	}
	return 0;
}

/* Reads until the other end closes. */
static int receive_all(int fd, struct buffer *answer)
{
	for (;;) {
		int r = buffer_reserve(answer, PIECE);

		if (r < 0) {
			return r;
		}
		ssize_t n = recv(fd, buffer_end(answer), PIECE, 0);

		if (n == 0) {
			return 0;
		}
		if (n < 0 && errno != EINTR) {
			return errno == EAGAIN ? -ETIMEDOUT : -errno;
		}
		answer->n += n > 0 ? (size_t)n : 0;
		if (answer->n > ANSWER_MAX) {
			return -EMSGSIZE;
		}
	}
}

static int exchange(const char *place, const struct buffer *request, struct buffer *answer)
{
	static const struct timeval timeout = {.tv_sec = TIMEOUT_S};
	int fd = admin_socket_connect(place);

	if (fd < 0) {
		return fd;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	int r = send_all(fd, buffer_sv(request));

	if (r == 0) {
		r = receive_all(fd, answer);
	}
	close(fd);
	return r;
}

/* The status of an answer; -EPROTO if it is not one. */
static int read_status(struct sv answer)
{
	uint64_t status;
	struct sv rest = sv_skip(answer, sizeof("HTTP/1.1 ") - 1);

	if (!sv_starts_with(answer, SV("HTTP/1.")) ||
	    sv_to_u64(sv_first(rest, STATUS_DIGITS), INT32_MAX, &status) < 0) {
		return -EPROTO;
	}
	return (int)status;
}

static int print_answer(struct sv answer, FILE *out)
{
	int status = read_status(answer);
	size_t n_head = sv_find_sv(answer, head_end);
	struct sv body = sv_skip(answer, n_head + head_end.n);

	if (status < 0) {
		fputs("doab: what answers there is not the admin listener of a gateway\n", stderr);
		return EXIT_CANNOT;
	}
	if (status != STATUS_OK) {
		fprintf(stderr, "doab: %.*s", SV_ARGS(body));
		return EXIT_NO;
	}
	fwrite(body.data, 1, body.n, out);
	return EXIT_SUCCESS;
}

int admin_client_run(const struct config *config, enum admin_client_question question,
		     const char *value, FILE *out)
{
	_cleanup_(buffer_deinit) struct buffer request = BUFFER_INIT;
	_cleanup_(buffer_deinit) struct buffer answer = BUFFER_INIT;
	int r;

	if (!config->admin[0]) {
		fputs("doab: the configuration has no `admin`: give the running gateway's by "
		      "--config\n",
		      stderr);
		return EXIT_CANNOT;
	}
	r = write_request(&request, question, value, isatty(fileno(out)));
	if (r == 0) {
		r = exchange(config->admin, &request, &answer);
	}
	if (r < 0) {
		fprintf(stderr, "doab: %s: %s\n", config->admin, strerror(-r));
		return EXIT_CANNOT;
	}
	return print_answer(buffer_sv(&answer), out);
}
