/* SPDX-License-Identifier: MIT */
#include "gateway/xmpp/outbox.h"

static size_t part_start(const struct outbox *outbox, size_t i)
{
	return i ? outbox->parts[i - 1].end : 0;
}

static struct sv part_bytes(const struct outbox *outbox, size_t i)
{
	return sv_skip(sv_first(buffer_sv(&outbox->bytes), outbox->parts[i].end),
		       part_start(outbox, i));
}

static void write_part(struct outbox *outbox, size_t i)
{
	struct link *link = outbox->parts[i].link;

	if (link) {
		outbox->parts[i].link = NULL;
		outbox->write(link, part_bytes(outbox, i));
	}
}

/* Keeps the bytes only as long as a part of them waits. */
static void tidy(struct outbox *outbox)
{
	while (outbox->n_parts && !outbox->parts[outbox->n_parts - 1].link) {
		outbox->n_parts--;
	}
	if (outbox->n_parts) {
		buffer_truncate(&outbox->bytes, part_start(outbox, outbox->n_parts));
	} else {
		/* Most iterations of the loop need it again, at most twice OUTBOX_MAX. */
		buffer_wipe(&outbox->bytes);
	}
}

static void flush(struct outbox *outbox)
{
	for (size_t i = 0; i < outbox->n_parts; i++) {
		write_part(outbox, i);
	}
	tidy(outbox);
}

static void on_prepare(uv_prepare_t *prepare)
{
	flush(CONTAINER_OF(prepare, struct outbox, prepare));
}

static void on_check(uv_check_t *check)
{
	flush(CONTAINER_OF(check, struct outbox, check));
}

void outbox_init(struct outbox *outbox, uv_loop_t *loop,
		 void (*write)(struct link *link, struct sv bytes))
{
	*outbox = (struct outbox){.write = write};
	uv_prepare_init(loop, &outbox->prepare);
	uv_check_init(loop, &outbox->check);
	uv_prepare_start(&outbox->prepare, on_prepare);
	uv_check_start(&outbox->check, on_check);
	/* These handles must not keep the loop running. */
	uv_unref((uv_handle_t *)&outbox->prepare);
	uv_unref((uv_handle_t *)&outbox->check);
}

void outbox_close(struct outbox *outbox)
{
	outbox->n_parts = 0;
	buffer_deinit(&outbox->bytes);
	uv_close((uv_handle_t *)&outbox->prepare, NULL);
	uv_close((uv_handle_t *)&outbox->check, NULL);
}

int outbox_add(struct outbox *outbox, struct link *link, struct sv bytes)
{
	if (bytes.n > OUTBOX_ONE_MAX) {
		outbox_flush(outbox, link);
		outbox->write(link, bytes);
		return 0;
	}
	bool goes_on = outbox->n_parts && outbox->parts[outbox->n_parts - 1].link == link;

	if (!goes_on && outbox->n_parts == OUTBOX_PARTS_MAX) {
		flush(outbox);
	}
	int r = buffer_append_sv(&outbox->bytes, bytes);

	if (r < 0) {
		return r;
	}
	outbox->n_parts += !goes_on;
	outbox->parts[outbox->n_parts - 1] = (struct outbox_part){link, outbox->bytes.n};
	if (outbox->bytes.n >= OUTBOX_MAX) {
		flush(outbox);
	}
	return 0;
}

void outbox_flush(struct outbox *outbox, const struct link *link)
{
	for (size_t i = 0; i < outbox->n_parts; i++) {
		if (outbox->parts[i].link == link) {
			write_part(outbox, i);
		}
	}
	tidy(outbox);
}

void outbox_drop(struct outbox *outbox, const struct link *link)
{
	for (size_t i = 0; i < outbox->n_parts; i++) {
		if (outbox->parts[i].link == link) {
			outbox->parts[i].link = NULL;
		}
	}
	tidy(outbox);
}

size_t outbox_waiting(const struct outbox *outbox, const struct link *link)
{
	size_t n = 0;

	for (size_t i = 0; i < outbox->n_parts; i++) {
		if (outbox->parts[i].link == link) {
			n += part_bytes(outbox, i).n;
		}
	}
	return n;
}
