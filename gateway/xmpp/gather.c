/* SPDX-License-Identifier: MIT */
#include "gateway/xmpp/gather.h"

static size_t part_start(const struct gather *gather, size_t i)
{
	return i ? gather->parts[i - 1].end : 0;
}

static struct sv part_bytes(const struct gather *gather, size_t i)
{
	return sv_skip(sv_first(buffer_sv(&gather->bytes), gather->parts[i].end),
		       part_start(gather, i));
}

static void write_part(struct gather *gather, size_t i)
{
	struct link *link = gather->parts[i].link;

	if (link) {
		gather->parts[i].link = NULL;
		gather->write(link, part_bytes(gather, i));
	}
}

/* Keeps the bytes only as long as a part of them waits. */
static void tidy(struct gather *gather)
{
	while (gather->n_parts && !gather->parts[gather->n_parts - 1].link) {
		gather->n_parts--;
	}
	if (gather->n_parts) {
		buffer_truncate(&gather->bytes, part_start(gather, gather->n_parts));
	} else {
		/* Most iterations of the loop need it again, at most twice GATHER_MAX. */
		buffer_wipe(&gather->bytes);
	}
}

static void flush(struct gather *gather)
{
	for (size_t i = 0; i < gather->n_parts; i++) {
		write_part(gather, i);
	}
	tidy(gather);
}

static void on_prepare(uv_prepare_t *prepare)
{
	flush(CONTAINER_OF(prepare, struct gather, prepare));
}

static void on_check(uv_check_t *check)
{
	flush(CONTAINER_OF(check, struct gather, check));
}

void gather_init(struct gather *gather, uv_loop_t *loop,
		 void (*write)(struct link *link, struct sv bytes))
{
	*gather = (struct gather){.write = write};
	uv_prepare_init(loop, &gather->prepare);
	uv_check_init(loop, &gather->check);
	uv_prepare_start(&gather->prepare, on_prepare);
	uv_check_start(&gather->check, on_check);
	/* These handles must not keep the loop running. */
	uv_unref((uv_handle_t *)&gather->prepare);
	uv_unref((uv_handle_t *)&gather->check);
}

void gather_close(struct gather *gather)
{
	gather->n_parts = 0;
	buffer_deinit(&gather->bytes);
	uv_close((uv_handle_t *)&gather->prepare, NULL);
	uv_close((uv_handle_t *)&gather->check, NULL);
}

int gather_add(struct gather *gather, struct link *link, struct sv bytes)
{
	if (bytes.n > GATHER_ONE_MAX) {
		gather_flush(gather, link);
		gather->write(link, bytes);
		return 0;
	}
	bool goes_on = gather->n_parts && gather->parts[gather->n_parts - 1].link == link;

	if (!goes_on && gather->n_parts == GATHER_PARTS_MAX) {
		flush(gather);
	}
	int r = buffer_append_sv(&gather->bytes, bytes);

	if (r < 0) {
		return r;
	}
	gather->n_parts += !goes_on;
	gather->parts[gather->n_parts - 1] = (struct gather_part){link, gather->bytes.n};
	if (gather->bytes.n >= GATHER_MAX) {
		flush(gather);
	}
	return 0;
}

void gather_flush(struct gather *gather, const struct link *link)
{
	for (size_t i = 0; i < gather->n_parts; i++) {
		if (gather->parts[i].link == link) {
			write_part(gather, i);
		}
	}
	tidy(gather);
}

void gather_drop(struct gather *gather, const struct link *link)
{
	for (size_t i = 0; i < gather->n_parts; i++) {
		if (gather->parts[i].link == link) {
			gather->parts[i].link = NULL;
		}
	}
	tidy(gather);
}

size_t gather_waiting(const struct gather *gather, const struct link *link)
{
	size_t n = 0;

	for (size_t i = 0; i < gather->n_parts; i++) {
		if (gather->parts[i].link == link) {
			n += part_bytes(gather, i).n;
		}
	}
	return n;
}
