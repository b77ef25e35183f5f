/* SPDX-License-Identifier: MIT */
#include "gateway/xmpp/gather.h"

static void flush(struct gather *gather)
{
	struct link *link = gather->link;

	gather->link = NULL;
	if (link) {
		gather->write(link, buffer_sv(&gather->bytes));
		/* Keep the memory for the next turn of the loop, unless there is much of it. */
		if (gather->bytes.size > GATHER_MAX) {
			buffer_deinit(&gather->bytes);
		}
		buffer_clear(&gather->bytes);
	}
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
	gather->link = NULL;
	buffer_deinit(&gather->bytes);
	uv_close((uv_handle_t *)&gather->prepare, NULL);
	uv_close((uv_handle_t *)&gather->check, NULL);
}

int gather_add(struct gather *gather, struct link *link, struct sv bytes)
{
	if (gather->link != link) {
		flush(gather);
	}
	int r = buffer_append_sv(&gather->bytes, bytes);

	if (r < 0) {
		return r;
	}
	gather->link = link;
	if (gather->bytes.n >= GATHER_MAX) {
		flush(gather);
	}
	return 0;
}

void gather_flush(struct gather *gather, const struct link *link)
{
	if (gather->link == link) {
		flush(gather);
	}
}

void gather_drop(struct gather *gather, const struct link *link)
{
	if (gather->link == link) {
		gather->link = NULL;
		buffer_clear(&gather->bytes);
	}
}

size_t gather_waiting(const struct gather *gather, const struct link *link)
{
	return gather->link == link ? gather->bytes.n : 0;
}
