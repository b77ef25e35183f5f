/* SPDX-License-Identifier: MIT */
#include "gateway/http/answer.h"

#include "common/writer.h"

/* Those that the gateway gives. RFC 9112, 4: clients ignore the reason. */
static struct sv status_line(unsigned status)
{
	static const struct {
		unsigned status;
		struct sv line;
	} lines[] = {
#define X(status, reason) {status, SV_INIT("HTTP/1.1 " #status " " reason "\r\n")}
		X(200, "OK"),
		X(204, "No Content"),
		X(304, "Not Modified"),
		X(400, "Bad Request"),
		X(403, "Forbidden"),
		X(404, "Not Found"),
		X(405, "Method Not Allowed"),
		X(408, "Request Timeout"),
		X(412, "Precondition Failed"),
		X(413, "Content Too Large"),
		X(414, "URI Too Long"),
		X(415, "Unsupported Media Type"),
		X(417, "Expectation Failed"),
		X(426, "Upgrade Required"),
		X(429, "Too Many Requests"),
		X(431, "Request Header Fields Too Large"),
		X(500, "Internal Server Error"),
		X(501, "Not Implemented"),
		X(503, "Service Unavailable"),
		X(505, "HTTP Version Not Supported"),
#undef X
	};

	for (size_t i = 0; i < ARRAY_LENGTH(lines); i++) {
		if (lines[i].status == status) {
			return lines[i].line;
		}
	}
	return SV_EMPTY;
}

static void write_status(struct writer *writer, unsigned status)
{
	struct sv line = status_line(status);

	if (line.n) {
		writer_put(writer, line);
	} else {
		writer_printf(writer, "HTTP/1.1 %u \r\n", status);
	}
}

static void write_length(struct writer *writer, size_t n)
{
	char digits[24];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n);
	writer_put(writer, SV("Content-Length: "));
	writer_put(writer, (struct sv){digits + at, sizeof(digits) - at});
	writer_put(writer, SV("\r\n"));
}

static void write_header(struct writer *writer, const char *name, const char *value)
{
	writer_put(writer, sv_from(name));
	writer_put(writer, SV(": "));
	writer_put(writer, sv_from(value));
	writer_put(writer, SV("\r\n"));
}

int http_answer_write(const struct http_answer *answer, size_t n_body, bool closes, struct sv date,
		      struct buffer *buffer)
{
	struct writer writer = writer_begin(buffer);

	write_status(&writer, answer->status);
	writer_put(&writer, date);
	if (closes) {
		writer_put(&writer, SV("Connection: close\r\n"));
	}
	/* RFC 9110, 8.6: none in a 204, and in a 304 none but that of the 200. */
	if (answer->status != 204 && answer->status != 304) {
		write_length(&writer, n_body);
	}
	if (answer->content_type) {
		write_header(&writer, "Content-Type", answer->content_type);
	}
	for (const char *const *header = answer->headers; header && header[0]; header += 2) {
		write_header(&writer, header[0], header[1]);
	}
	writer_put(&writer, SV("\r\n"));
	return writer_end(&writer);
}
