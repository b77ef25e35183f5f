/* SPDX-License-Identifier: MIT */
#include "gateway/http/gather.h"

#include "gateway/http/coder.h"
#include "gateway/http/reader-state.h"

enum {
	/* Below, memory grows as it does. */
	HTTP_ROOM_MIN = 16 * 1024,
	/* How many times what has come may be held for what was announced: a client must not have
	 * much memory by announcing it. A body of 256 KB, of which a first read brings a tenth,
	 * does not move again. */
	HTTP_ROOM_FACTOR = 16,
	/* How many times what has come it is charged with at most. */
	HTTP_CHARGE_FACTOR = 4,
};

static void on_evict(struct budget_charge *charge)
{
	struct http_gather *gather = CONTAINER_OF(charge, struct http_gather, charge);

	gather->is_cut = true;
	gather->on_cut(gather->exchange);
	buffer_deinit(&gather->bytes);
	gather->n_head = 0;
}

void http_gather_init(struct http_gather *gather, struct http_exchange *exchange,
		      void (*on_cut)(struct http_exchange *exchange))
{
	*gather = (struct http_gather){
		.exchange = exchange,
		.on_cut = on_cut,
		.charge = BUDGET_CHARGE_INIT(exchange->options->owner, on_evict),
	};
}

void http_gather_deinit(struct http_gather *gather)
{
	/* Whether the client has logged in is not known here. */
	buffer_deinit(&gather->bytes);
	budget_release(gather->exchange->options->budget, &gather->charge);
	gather->n_head = 0;
}

int http_gather_charge(struct http_gather *gather)
{
	const struct http_options *options = gather->exchange->options;
	struct address client;

	/* The pages of what was announced and has not come are not touched yet. */
	size_t n_most = HTTP_CHARGE_FACTOR * gather->bytes.n;
	size_t n = gather->bytes.size < n_most ? gather->bytes.size : n_most;

	/* Who the client is takes a search of the head, which chunks of one byte must not cost. */
	if (n <= BUDGET_STEP || n <= gather->charge.n_bytes) {
		return 0;
	}
	client = options->client(options->userdata, gather->exchange);
	return budget_hold(options->budget, &gather->charge, &client, n);
}

/* Shortens the body to what is kept of one that is too large, and frees the rest of its memory. */
static void keep_beginning(struct http_gather *gather)
{
	size_t n = gather->n_head + HTTP_KEEP_LARGE;
	struct buffer beginning = BUFFER_INIT;

	if (gather->bytes.n <= n) {
		return;
	}
	if (buffer_append_sv(&beginning, sv_first(buffer_sv(&gather->bytes), n)) < 0) {
		buffer_truncate(&gather->bytes, n);
		return;
	}
	buffer_deinit(&gather->bytes);
	budget_release(gather->exchange->options->budget, &gather->charge);
	gather->bytes = beginning;
}

int http_gather_begin(struct http_gather *gather, struct sv head)
{
	int r = buffer_append_sv(&gather->bytes, head);

	gather->n_head = r < 0 ? 0 : head.n;
	return r < 0 ? r : http_gather_charge(gather);
}

static bool discard(struct http_gather *gather, size_t n)
{
	gather->n_discarded += n;
	return gather->n_discarded <= HTTP_DISCARD_MAX;
}

/* For the announced body, of which @n bytes more have come: memory that grows step by step is
 * copied twice. Returns 0 or -ENOMEM. */
static int make_room(struct http_gather *gather, size_t n)
{
	size_t n_all = gather->n_head + gather->n_announced;
	size_t n_now = gather->bytes.n + n, n_most = HTTP_ROOM_FACTOR * n_now;

	n_all = n_all < n_most ? n_all : n_most;
	return n_now < HTTP_ROOM_MIN || n_all < n_now
		     ? 0
		     : buffer_reserve(&gather->bytes, n_all - gather->bytes.n);
}

bool http_gather_add(struct http_gather *gather, const char *data, size_t n)
{
	size_t n_max = gather->exchange->options->limits.n_body_max;
	size_t n_body = http_gather_body(gather).n;

	if (gather->is_cut) {
		return discard(gather, n);
	}
	/* A reload may have lowered the limit meanwhile. */
	if (!gather->exchange->is_too_large && n_body <= n_max && n <= n_max - n_body) {
		return make_room(gather, n) == 0 && buffer_append(&gather->bytes, data, n) == 0 &&
		       http_gather_charge(gather) == 0;
	}
	if (n_body < HTTP_KEEP_LARGE) {
		size_t n_room = HTTP_KEEP_LARGE - n_body;

		(void)!buffer_append(&gather->bytes, data, n < n_room ? n : n_room);
	}
	keep_beginning(gather);
	/* If there is no memory for the charge, the next piece tries again. */
	(void)!http_gather_charge(gather);
	gather->exchange->is_too_large = true;
	return discard(gather, n);
}

char *http_gather_room(struct http_gather *gather, size_t *ret_n_room)
{
	const struct http_exchange *exchange = gather->exchange;
	size_t n_all = gather->n_head + gather->n_announced;

	if (gather->is_cut || exchange->is_too_large || gather->bytes.n < HTTP_ROOM_MIN ||
	    gather->bytes.n >= n_all ||
	    gather->n_announced > exchange->options->limits.n_body_max ||
	    make_room(gather, 1) < 0) {
		return NULL;
	}
	size_t n_room = gather->bytes.size - gather->bytes.n, n_left = n_all - gather->bytes.n;

	*ret_n_room = n_left < n_room ? n_left : n_room;
	return buffer_end(&gather->bytes);
}

int http_gather_filled(struct http_gather *gather, size_t n)
{
	gather->bytes.n += n;
	return http_gather_charge(gather);
}

bool http_gather_take(struct http_gather *gather, struct buffer *ret_body)
{
	struct sv all = buffer_sv(&gather->bytes);
	struct buffer head = BUFFER_INIT;

	if (all.n - gather->n_head < HTTP_ROOM_MIN ||
	    buffer_append_sv(&head, sv_first(all, gather->n_head)) < 0) {
		return false;
	}
	*ret_body = gather->bytes;
	buffer_consume(ret_body, gather->n_head);
	gather->bytes = head;
	budget_release(gather->exchange->options->budget, &gather->charge);
	return true;
}

int http_gather_decode(struct http_gather *gather)
{
	struct http_exchange *exchange = gather->exchange;
	size_t n_max =
		exchange->is_too_large ? HTTP_KEEP_LARGE : exchange->options->limits.n_body_max;
	_cleanup_(buffer_deinit) struct buffer plain = BUFFER_INIT;

	if (exchange->coding == CODING_IDENTITY || exchange->coding == CODING_UNKNOWN) {
		return 0;
	}
	if (!exchange->options->limits.coder) {
		/* Switched off meanwhile. */
		exchange->coding = CODING_UNKNOWN;
		return 0;
	}
	int result = coder_decode(exchange->options->limits.coder, exchange->coding,
				  http_gather_body(gather), n_max, &plain);

	buffer_truncate(&gather->bytes, gather->n_head);
	int r = result < 0 ? result : buffer_append_sv(&gather->bytes, buffer_sv(&plain));

	if (result == CODING_E_TOO_LARGE) {
		exchange->is_too_large = true;
	}
	if (r == 0 && result > CODING_OK) {
		keep_beginning(gather);
		/* The text may be complete and only its checksum be wrong. */
		r = buffer_append(&gather->bytes, "", 1);
	}
	return r;
}

bool http_gather_is_hopeless(const struct http_options *options, uint64_t n)
{
	return n > options->limits.n_body_max + HTTP_DISCARD_MAX;
}
