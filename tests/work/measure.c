/* SPDX-License-Identifier: MIT */
/*
 * What inputs cost the parsers of strangers' bytes, in CPU time of this process. Reads a request a
 * line, and answers each with a line: nanoseconds a byte.
 *
 *     PARSER PIECE N HEAD UNIT TAIL
 *
 * PARSER  a name of the table at the end
 * PIECE   how many bytes arrive at once; 0: all of them
 * N       bytes of the whole input: HEAD, UNIT again and again, and TAIL
 * HEAD, UNIT, TAIL  in hexadecimal digits; "-" is empty
 *
 * A parser that has refused the input is given no more of it, as in the program: the bytes behind
 * a mistake cost nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/buffer.h"
#include "gateway/bosh/body.h"
#include "gateway/http/coder.h"
#include "gateway/http/head.h"
#include "gateway/upstream/dns/reply.h"
#include "gateway/ws/frames.h"
#include "gateway/ws/framing.h"
#include "gateway/xmpp/login.h"
#include "gateway/xmpp/namespace.h"
#include "gateway/xmpp/stream.h"
#include "policy/cors.h"
#include "policy/forwarded.h"

enum {
	N_REPEATS = 3, /* the least counts: whatever else runs only adds to it */
	N_INPUT_MAX = 256 * 1024,
	N_LINE_MAX = 64 * 1024,
	N_CODED_MAX = 256 * 1024,
};

struct parser {
	const char *name;
	void (*run)(struct sv input, size_t n_piece);
};

static struct xml_pool *xml_pool;
static struct coder *coder;

static void need(int r)
{
	if (r != 0) {
		abort();
	}
}

/* Takes the next piece of @rest. */
static struct sv take(struct sv *rest, size_t n_piece)
{
	struct sv piece = sv_first(*rest, n_piece ? n_piece : rest->n);

	*rest = sv_skip(*rest, piece.n);
	return piece;
}

static void run_stream(struct sv input, size_t n_piece)
{
	static const struct stream_target target = {.to = {"a.example", 9}};
	const struct xml_scan_options options = stream_options(N_INPUT_MAX);
	enum stream_event_kind kind = STREAM_EVENT_NONE;
	struct stream stream;

	stream_init(&stream, xml_pool, &options, DOMAIN_TLS_OFF);
	need(stream_open(&stream, &target, false));
	while (input.n && stream.state != STREAM_STATE_OVER) {
		struct sv piece = take(&input, n_piece);

		need(stream_feed(&stream, piece.data, piece.n));
		do {
			need(stream_next(&stream, &kind));
		} while (kind != STREAM_EVENT_NONE && stream.state != STREAM_STATE_OVER);
	}
	stream_deinit(&stream);
}

/* Behind <open/>, which must come first. */
static void run_message(struct sv input, size_t n_piece)
{
	const struct xml_scan_options options = framing_options(N_INPUT_MAX);
	const struct sv open = SV("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' "
				  "to='a.example' version='1.0'/>");
	struct framing_event event;
	struct framing framing;

	framing_init(&framing, xml_pool, &options);
	need(framing_feed(&framing, open.data, open.n, true, true));
	framing_next(&framing, &event);
	while (input.n && event.kind != FRAMING_EVENT_BAD) {
		struct sv piece = take(&input, n_piece);

		need(framing_feed(&framing, piece.data, piece.n, input.n == 0, true));
		do {
			framing_next(&framing, &event);
		} while (event.kind != FRAMING_EVENT_NONE && event.kind != FRAMING_EVENT_BAD);
	}
	framing_deinit(&framing);
}

static void run_body(struct sv input, size_t n_piece)
{
	const struct xml_scan_options options = bosh_body_options(N_INPUT_MAX);
	struct bosh_body body;

	(void)n_piece;
	if (bosh_body_init(&body, xml_pool, &options, input) < 0) {
		abort();
	}
	bosh_body_deinit(&body);
}

static void run_frames(struct sv input, size_t n_piece)
{
	static char copy[N_INPUT_MAX];
	struct frames_event event = {.kind = FRAMES_EVENT_NONE};
	struct frames frames;

	frames_init(&frames, true);
	while (input.n && event.kind != FRAMES_EVENT_BAD && event.kind != FRAMES_EVENT_CLOSE) {
		struct sv piece = take(&input, n_piece);

		/* The masks are removed where the bytes are. */
		memcpy(copy, piece.data, piece.n);
		frames_feed(&frames, copy, piece.n);
		do {
			need(frames_next(&frames, &event));
		} while (event.kind != FRAMES_EVENT_NONE && event.kind != FRAMES_EVENT_BAD &&
			 event.kind != FRAMES_EVENT_CLOSE);
	}
	frames_deinit(&frames);
}

static void run_head(struct sv input, size_t n_piece)
{
	enum http_head_result result = HTTP_HEAD_MORE;
	struct http_head head = {0};
	size_t n_arrived = 0;

	while (result == HTTP_HEAD_MORE && n_arrived < input.n) {
		n_arrived += take(&(struct sv){input.data, input.n - n_arrived}, n_piece).n;
		result = http_head_feed(&head, sv_first(input, n_arrived));
	}
}

/* A compressed request: what counts are the bytes that were sent. */
static void run_coding(struct sv input, size_t n_piece)
{
	struct buffer plain = BUFFER_INIT;

	(void)n_piece;
	if (coder_decode(coder, CODING_GZIP, input, N_CODED_MAX, &plain) < 0) {
		abort();
	}
	buffer_deinit(&plain);
}

static void run_reply(struct sv input, size_t n_piece)
{
	struct dns_reply *reply;

	(void)n_piece;
	need(dns_reply_read(DNS_KIND_SRV, "_xmpp-client._tcp.a.example",
			    (const unsigned char *)input.data, input.n, &reply));
	dns_reply_unref(reply);
}

static void run_login(struct sv input, size_t n_piece)
{
	struct login login = {0};

	(void)n_piece;
	(void)login_sent(&login, input);
}

static void run_cors(struct sv input, size_t n_piece)
{
	char list[CORS_HEADERS_LENGTH_MAX + 1];

	(void)n_piece;
	(void)cors_headers_judge(input, list);
}

/* Each address of the header is that of a proxy, so that all of it is read. */
static void run_forwarded(struct sv input, size_t n_piece)
{
	static const char *const everybody[] = {"0.0.0.0/0", "::/0"};
	struct forwarded_headers headers = {.x_for = input, .x_proto = input};
	struct client_proxies proxies;
	struct address peer;
	size_t bad;

	(void)n_piece;
	need(client_proxies_init(&proxies, everybody, ARRAY_LENGTH(everybody), &bad));
	need(address_parse(SV("192.0.2.1"), 1, &peer));
	(void)forwarded_client(&proxies, FORWARDED_X, &peer, &headers);
	headers = (struct forwarded_headers){.forwarded = input};
	(void)forwarded_client(&proxies, FORWARDED_RFC7239, &peer, &headers);
	client_proxies_deinit(&proxies);
}

static const struct parser parsers[] = {
	{"stream", run_stream},       {"message", run_message}, {"body", run_body},
	{"frames", run_frames},       {"head", run_head},       {"coding", run_coding},
	{"reply", run_reply},         {"login", run_login},     {"cors", run_cors},
	{"forwarded", run_forwarded},
};

static const struct parser *find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LENGTH(parsers); i++) {
		if (strcmp(parsers[i].name, name) == 0) {
			return &parsers[i];
		}
	}
	return NULL;
}

static double now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* Appends what the digits mean. Returns whether they mean something. */
static bool append_hex(struct buffer *bytes, const char *digits)
{
	unsigned byte;

	for (size_t i = 0; digits[0] != '-' && digits[i]; i += 2) {
		if (!digits[i + 1] ||
		    (byte = (unsigned)strtoul((char[]){digits[i], digits[i + 1], 0}, NULL, 16)) >
			    255) {
			return false;
		}
		need(buffer_append(bytes, &(char){(char)byte}, 1));
	}
	return true;
}

/* The whole input; cut where it gets longer than @n, but for the tail. */
static bool make_input(size_t n, char *const parts[3], struct buffer *ret_input)
{
	struct buffer unit = BUFFER_INIT, tail = BUFFER_INIT;
	bool is_good = append_hex(ret_input, parts[0]) && append_hex(&unit, parts[1]) &&
		       append_hex(&tail, parts[2]);

	while (is_good && unit.n && ret_input->n + unit.n + tail.n <= n) {
		need(buffer_append_sv(ret_input, buffer_sv(&unit)));
	}
	need(buffer_append_sv(ret_input, buffer_sv(&tail)));
	buffer_deinit(&unit);
	buffer_deinit(&tail);
	return is_good && ret_input->n > 0 && ret_input->n <= N_INPUT_MAX;
}

static double measure(const struct parser *parser, struct sv input, size_t n_piece)
{
	double least = 0;

	for (size_t i = 0; i < N_REPEATS; i++) {
		double begin = now_ns();

		parser->run(input, n_piece);
		double took = now_ns() - begin;

		least = i == 0 || took < least ? took : least;
	}
	return least / (double)input.n;
}

static bool answer(char *line)
{
	struct buffer input = BUFFER_INIT;
	char *words[6], *rest = line;
	size_t n_words = 0;

	while (n_words < ARRAY_LENGTH(words) && (words[n_words] = strsep(&rest, " \n"))) {
		n_words++;
	}
	const struct parser *parser = n_words == ARRAY_LENGTH(words) ? find(words[0]) : NULL;
	bool is_good = parser && make_input(strtoul(words[2], NULL, 10), &words[3], &input);

	if (is_good) {
		printf("%.3f\n", measure(parser, buffer_sv(&input), strtoul(words[1], NULL, 10)));
		fflush(stdout);
	}
	buffer_deinit(&input);
	return is_good;
}

int main(void)
{
	static char line[N_LINE_MAX];
	int status = EXIT_SUCCESS;

	need(xml_pool_new(namespaces, NS_COUNT, &xml_pool));
	need(coder_new(&coder));
	while (status == EXIT_SUCCESS && fgets(line, sizeof(line), stdin)) {
		if (!answer(line)) {
			fprintf(stderr, "not understood: %s", line);
			status = EXIT_FAILURE;
		}
	}
	xml_pool_free(xml_pool);
	coder_free(coder);
	return status;
}
