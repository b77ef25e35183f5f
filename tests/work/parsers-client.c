/* SPDX-License-Identifier: MIT */
#include "tests/work/parsers.h"

#include <stdlib.h>

#include "gateway/bosh/body.h"
#include "gateway/http/chunks.h"
#include "gateway/http/coder.h"
#include "gateway/http/head.h"
#include "gateway/listener/proxy-in.h"
#include "gateway/wire/hello.h"
#include "gateway/ws/frames.h"
#include "gateway/ws/framing.h"
#include "gateway/ws/upgrade.h"
#include "gateway/xmpp/login.h"
#include "gateway/xmpp/namespace.h"
#include "policy/cors.h"
#include "policy/domain.h"
#include "policy/forwarded.h"
#include "policy/origin.h"

enum {
	N_CODED_MAX = 256 * 1024,
};

void need(int r)
{
	if (r != 0) {
		abort();
	}
}

struct sv take(struct sv *rest, size_t n_piece)
{
	struct sv piece = sv_first(*rest, n_piece ? n_piece : rest->n);

	*rest = sv_skip(*rest, piece.n);
	return piece;
}

static struct xml_pool *pool(void)
{
	static struct xml_pool *xml_pool;

	if (!xml_pool) {
		need(xml_pool_new(namespaces, NS_COUNT, &xml_pool));
	}
	return xml_pool;
}

static struct coder *coder(void)
{
	static struct coder *used;

	if (!used) {
		need(coder_new(&used));
	}
	return used;
}

/* Gets the events of a piece. */
static void read_events(struct framing *framing, struct outcome *outcome)
{
	struct framing_event event;

	do {
		framing_next(framing, &event);
		outcome->n_out += event.element.n;
		if (event.kind == FRAMING_EVENT_BAD) {
			outcome->refusal = REFUSED;
		}
	} while (event.kind != FRAMING_EVENT_NONE && outcome->refusal == ACCEPTED);
}

/* Behind <open/>. That the message has ended is told by an empty piece: without its end the
 * beginning of an element is no mistake. */
static struct outcome run_message(struct sv input, size_t n_piece)
{
	const struct xml_scan_options options = framing_options(N_INPUT_MAX);
	const struct sv open = SV("<open xmlns='urn:ietf:params:xml:ns:xmpp-framing' "
				  "to='a.example' version='1.0'/>");
	struct outcome outcome = {0}, end = {0};
	struct framing_event event;
	struct framing framing;

	framing_init(&framing, pool(), &options);
	need(framing_feed(&framing, open.data, open.n, true, true));
	framing_next(&framing, &event);
	while (input.n && outcome.refusal == ACCEPTED) {
		struct sv piece = take(&input, n_piece);

		need(framing_feed(&framing, piece.data, piece.n, false, true));
		read_events(&framing, &outcome);
	}
	if (outcome.refusal == ACCEPTED) {
		need(framing_feed(&framing, "", 0, true, true));
		read_events(&framing, &end);
	}
	outcome.n_out += end.n_out;
	framing_deinit(&framing);
	return outcome;
}

/* A body has come as a whole. A piece is what is parsed at a time. */
static int read_body(struct sv input, size_t n_piece, struct bosh_body *ret_body)
{
	const struct xml_scan_options options = bosh_body_options(N_INPUT_MAX);
	struct bosh_reading *reading;

	if (n_piece == 0) {
		return bosh_body_init(ret_body, pool(), &options, input);
	}
	need(bosh_reading_new(pool(), &options, &reading));
	while (!bosh_reading_go_on(reading, input, n_piece)) {
	}
	return bosh_reading_finish(reading, input, ret_body);
}

static struct outcome run_body(struct sv input, size_t n_piece)
{
	struct bosh_body body;
	int r = read_body(input, n_piece, &body);
	struct outcome outcome = {
		.refusal = r == BOSH_BODY_E_BAD_REQUEST ? INCOMPLETE : r,
		.n_out = body.payloads.n + body.text.n,
	};

	need(r < 0);
	bosh_body_deinit(&body);
	return outcome;
}

static struct outcome run_frames(struct sv input, size_t n_piece)
{
	static char copy[N_INPUT_MAX];
	struct frames_event event = {.kind = FRAMES_EVENT_NONE};
	struct outcome outcome = {0};
	struct frames frames;

	frames_init(&frames, true);
	while (input.n && outcome.refusal == ACCEPTED) {
		struct sv piece = take(&input, n_piece);

		/* The masks are removed where the bytes are. */
		memcpy(copy, piece.data, piece.n);
		frames_feed(&frames, copy, piece.n);
		do {
			need(frames_next(&frames, &event));
			outcome.n_out += event.data.n;
			if (event.kind == FRAMES_EVENT_BAD || event.kind == FRAMES_EVENT_CLOSE) {
				outcome.refusal = OVER;
			}
		} while (event.kind != FRAMES_EVENT_NONE && outcome.refusal == ACCEPTED);
	}
	frames_deinit(&frames);
	return outcome;
}

static enum http_head_result read_head(struct sv input, size_t n_piece, struct http_head *head)
{
	enum http_head_result result = HTTP_HEAD_MORE;
	size_t n_arrived = 0;

	*head = (struct http_head){0};
	while (result == HTTP_HEAD_MORE && n_arrived < input.n) {
		n_arrived += take(&(struct sv){input.data, input.n - n_arrived}, n_piece).n;
		result = http_head_feed(head, sv_first(input, n_arrived));
	}
	return result;
}

static struct outcome run_head(struct sv input, size_t n_piece)
{
	struct http_head head;
	enum http_head_result result = read_head(input, n_piece, &head);

	return (struct outcome){.refusal = result == HTTP_HEAD_MORE ? ACCEPTED
					 : result == HTTP_HEAD_DONE ? OVER
								    : REFUSED};
}

/* The values of a header in all of its lines, as http_exchange_header_list() joins them. */
static struct sv join(const struct http_head *head, const char *bytes, const char *name,
		      struct buffer *joined)
{
	uint16_t cursor = 0;
	struct sv value;

	while (http_head_next(head, bytes, sv_from(name), &cursor, &value)) {
		need(joined->n ? buffer_append_sv(joined, SV(", ")) : 0);
		need(buffer_append_sv(joined, value));
	}
	return buffer_sv(joined);
}

/* A whole head, and what a handshake asks of it. */
static struct outcome run_upgrade(struct sv input, size_t n_piece)
{
	enum { N = 6 };
	struct buffer joined[N] = {BUFFER_INIT};
	struct http_head head;

	if (read_head(input, n_piece, &head) != HTTP_HEAD_DONE) {
		return (struct outcome){.refusal = INCOMPLETE};
	}
	const struct upgrade upgrade = {
		.connection = join(&head, input.data, "Connection", &joined[0]),
		.upgrade = join(&head, input.data, "Upgrade", &joined[1]),
		.version = join(&head, input.data, "Sec-WebSocket-Version", &joined[2]),
		.key = join(&head, input.data, "Sec-WebSocket-Key", &joined[3]),
		.protocol = join(&head, input.data, "Sec-WebSocket-Protocol", &joined[4]),
		.extensions = join(&head, input.data, "Sec-WebSocket-Extensions", &joined[5]),
		.origin_is_allowed = true,
	};
	(void)upgrade_check(&upgrade);
	(void)upgrade_offers_deflate(upgrade.extensions);
	for (size_t i = 0; i < N; i++) {
		buffer_deinit(&joined[i]);
	}
	return (struct outcome){.refusal = head.n < input.n ? OVER : ACCEPTED};
}

static struct outcome run_chunks(struct sv input, size_t n_piece)
{
	enum chunks_result result = CHUNKS_MORE;
	struct outcome outcome = {0};
	struct chunks chunks = {0};
	struct sv data;

	while (input.n && result == CHUNKS_MORE) {
		struct sv piece = take(&input, n_piece);

		while ((result = chunks_feed(&chunks, &piece, &data)) == CHUNKS_FOUND) {
			outcome.n_out += data.n;
		}
	}
	outcome.refusal = result == CHUNKS_MORE ? ACCEPTED : OVER;
	return outcome;
}

static struct outcome coding_outcome(int r, struct buffer *plain)
{
	struct outcome outcome = {.refusal = r == CODING_E_CORRUPT ? INCOMPLETE : r,
				  .n_out = plain->n};

	need(r < 0);
	buffer_deinit(plain);
	return outcome;
}

/* A compressed request, which ends as its format says. */
static struct outcome run_gzip(struct sv input, size_t n_piece)
{
	struct buffer plain = BUFFER_INIT;

	(void)n_piece;
	int r = coder_decode(coder(), CODING_GZIP, input, N_CODED_MAX, &plain);

	return coding_outcome(r, &plain);
}

/* A compressed message of a WebSocket: blocks of deflate. */
static struct outcome run_deflate(struct sv input, size_t n_piece)
{
	struct buffer coded = BUFFER_INIT, plain = BUFFER_INIT;

	(void)n_piece;
	need(buffer_append_sv(&coded, input));
	int r = coder_decode_message(coder(), &coded, N_CODED_MAX, &plain);

	buffer_deinit(&coded);
	return coding_outcome(r, &plain);
}

static struct outcome run_login(struct sv input, size_t n_piece)
{
	struct login login = {0};

	(void)n_piece;
	(void)login_sent(&login, input);
	return (struct outcome){0};
}

static struct outcome run_cors(struct sv input, size_t n_piece)
{
	char list[CORS_HEADERS_LENGTH_MAX + 1];

	(void)n_piece;
	bool is_good = cors_headers_judge(input, list);

	return (struct outcome){.refusal = is_good ? ACCEPTED : REFUSED, .n_out = strlen(list)};
}

static struct outcome run_origin(struct sv input, size_t n_piece)
{
	static const char *const texts[] = {"https://chat.example.org", "https://*.a.example:*",
					    "http://localhost:*"};
	static struct origin_list list;
	char text[ORIGIN_LENGTH_MAX + 1];
	size_t bad;

	(void)n_piece;
	if (!list.n_patterns) {
		need(origin_list_init(&list, texts, ARRAY_LENGTH(texts), &bad));
	}
	(void)origin_list_judge(&list, input, text);
	return (struct outcome){.n_out = strlen(text)};
}

/* The attribute `to` of a stream. */
static struct outcome run_domain(struct sv input, size_t n_piece)
{
	char ascii[DOMAIN_MAX + 1] = "";

	(void)n_piece;
	return (struct outcome){.n_out = domain_to_ascii(input, ascii) == 0 ? strlen(ascii) : 0};
}

/* Each address of the header is that of a proxy, so that all of it is read. */
static struct outcome run_forwarded(struct sv input, size_t n_piece)
{
	unsigned line;
	struct forwarded_headers headers = {.x_for = input, .x_proto = input};
	static struct networks proxies;
	static struct address peer;
	static bool is_ready;

	(void)n_piece;
	if (!is_ready) {
		need(networks_add_list(&proxies, SV("0.0.0.0/0\n::/0\n"), &line));
		networks_seal(&proxies);
		need(address_parse(SV("192.0.2.1"), 1, &peer));
		is_ready = true;
	}
	(void)forwarded_client(&proxies, FORWARDED_X, &peer, &headers);
	headers = (struct forwarded_headers){.forwarded = input};
	(void)forwarded_client(&proxies, FORWARDED_RFC7239, &peer, &headers);
	return (struct outcome){0};
}

/* Judged anew with each piece, from the first byte on. */
static struct outcome run_proxy(struct sv input, size_t n_piece)
{
	enum proxy_in_result result = PROXY_IN_MORE;
	struct proxy_in header = {0};
	size_t n_arrived = 0;

	while (result == PROXY_IN_MORE && n_arrived < input.n) {
		n_arrived += take(&(struct sv){input.data, input.n - n_arrived}, n_piece).n;
		result = proxy_in_parse(sv_first(input, n_arrived), &header);
	}
	return (struct outcome){.refusal = result == PROXY_IN_MORE ? ACCEPTED : OVER};
}

static struct outcome run_hello(struct sv input, size_t n_piece)
{
	struct hello hello = {0};

	while (input.n && !hello.is_too_large) {
		struct sv piece = take(&input, n_piece);

		hello_read(&hello, (const unsigned char *)piece.data, piece.n);
	}
	return (struct outcome){.refusal = hello.is_too_large ? REFUSED : ACCEPTED};
}

const struct parser parsers[] = {
	{"hello", NULL, run_hello},     {"message", NULL, run_message},
	{"body", NULL, run_body},       {"frames", NULL, run_frames},
	{"head", NULL, run_head},       {"upgrade", NULL, run_upgrade},
	{"chunks", NULL, run_chunks},   {"gzip", NULL, run_gzip},
	{"deflate", NULL, run_deflate}, {"login", NULL, run_login},
	{"cors", NULL, run_cors},       {"origin", NULL, run_origin},
	{"domain", NULL, run_domain},   {"forwarded", NULL, run_forwarded},
	{"proxy", NULL, run_proxy},     {0},
};
