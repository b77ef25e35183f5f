/* SPDX-License-Identifier: MIT */
/*
 * ws/framing.h. The input is messages, separated by zeros. Whole or cut, with a used pool or a new
 * one, the events are the same. An element that is passed on is one, and declares its namespaces: a
 * new framing reads it as the same element.
 *
 * covers: gateway/ws/framing.c common/xml-scan.c common/xml-feed.c
 */
#include "tests/fuzz/fuzz.h"

#include "gateway/ws/framing.h"
#include "gateway/xmpp/namespace.h"

enum {
	MESSAGE_MAX = 1000,
};

static struct xml_pool *used_pool;
static bool ended_reading; /* a message since this was reset */

struct setting {
	struct xml_pool *pool;
	struct sv input;
	bool is_text;
	bool is_cut_short; /* read whole, a message was refused before its end */
};

/* Of two mistakes in a message the cuts decide which is seen first, if one of them ends the reading
 * of what has arrived: the bytes before it are not looked at if they came with it. */
static bool ends_reading(const struct framing_event *event)
{
	return strcmp(event->condition, "not-well-formed") == 0 ||
	       strcmp(event->condition, "restricted-xml") == 0 ||
	       event->fault == FRAMING_FAULT_SIZE;
}

static void log_event(const struct framing_event *event, const struct setting *setting,
		      struct buffer *log)
{
	LOG(log, "%d", (int)event->kind);
	switch (event->kind) {
	case FRAMING_EVENT_OPEN:
	case FRAMING_EVENT_RESTART:
		LOG(log, " to %.*s from %.*s lang %.*s version %.*s", SV_ARGS(event->to),
		    SV_ARGS(event->from), SV_ARGS(event->lang), SV_ARGS(event->version));
		FUZZ_CHECK(event->to.n <= FRAMING_ATTRIBUTE_MAX);
		break;
	case FRAMING_EVENT_ELEMENT:
		LOG(log, " %.*s", SV_ARGS(event->element));
		FUZZ_CHECK(event->element.n > 0 && event->element.n <= MESSAGE_MAX);
		FUZZ_CHECK(event->element.data[0] == '<');
		break;
	case FRAMING_EVENT_BAD:
		ended_reading |= ends_reading(event);
		if (setting->is_cut_short || ends_reading(event)) {
			LOG(log, " bad");
		} else {
			LOG(log, " %s %s %d", event->condition, event->reason, (int)event->fault);
		}
		break;
	case FRAMING_EVENT_CLOSE:
	case FRAMING_EVENT_NONE:
		break;
	}
	LOG(log, "\n");
}

static void feed(struct framing *framing, struct sv piece, bool is_final,
		 const struct setting *setting, struct buffer *log)
{
	struct framing_event event;

	assert_int_equal(framing_feed(framing, piece.data, piece.n, is_final, setting->is_text), 0);
	do {
		framing_next(framing, &event);
		log_event(&event, setting, log);
	} while (event.kind != FRAMING_EVENT_NONE && log->n < 100000);
	FUZZ_CHECK(event.kind == FRAMING_EVENT_NONE);
	FUZZ_CHECK(framing_held(framing) <= 4 * MESSAGE_MAX + XML_MEMORY_BASE);
}

/* The pieces only say how the messages are cut: a message ends where it does. */
static void run(struct pieces *pieces, struct buffer *log, void *userdata)
{
	const struct setting *setting = userdata;
	const struct xml_scan_options options = framing_options(MESSAGE_MAX);
	struct sv input = setting->input;
	struct framing framing;

	framing_init(&framing, setting->pool, &options);
	while (input.n) {
		struct pieces message = *pieces;
		struct buffer said = BUFFER_INIT;
		struct sv piece;

		message.rest = fuzz_part(&input, '\0');
		while (pieces_next(&message, &piece)) {
			feed(&framing, piece, false, setting, &said);
		}
		feed(&framing, SV(""), true, setting, &said);
		/* Without the lines that say "nothing yet". */
		for (struct sv rest = buffer_sv(&said); rest.n;) {
			struct sv line = fuzz_part(&rest, '\n');

			if (!sv_eq(line, SV("0"))) {
				LOG(log, "%.*s\n", SV_ARGS(line));
			}
		}
		buffer_deinit(&said);
		pieces_end(&message);
	}
	framing_deinit(&framing);
}

/* What the first message passes on is read again. */
static void check_again(struct sv message)
{
	const struct xml_scan_options options = framing_options(MESSAGE_MAX);
	struct framing framing, again;
	struct framing_event event, event_again;

	framing_init(&framing, used_pool, &options);
	assert_int_equal(framing_feed(&framing, message.data, message.n, true, true), 0);
	framing_next(&framing, &event);
	if (event.kind == FRAMING_EVENT_ELEMENT) {
		framing_init(&again, used_pool, &options);
		assert_int_equal(
			framing_feed(&again, event.element.data, event.element.n, true, true), 0);
		framing_next(&again, &event_again);
		FUZZ_CHECK(event_again.kind == FRAMING_EVENT_ELEMENT);
		FUZZ_CHECK(sv_eq(event.element, event_again.element));
		framing_deinit(&again);
	}
	framing_deinit(&framing);
}

void fuzz_one(struct sv input)
{
	struct setting setting = {.is_text = true, .input = input};
	struct buffer with_used = BUFFER_INIT, with_fresh = BUFFER_INIT;
	struct sv rest = input;

	if (!used_pool) {
		assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &used_pool), 0);
	}
	setting.pool = used_pool;
	ended_reading = false;
	fuzz_run(input, PIECES_WHOLE, run, &setting, &with_used);
	setting.is_cut_short = ended_reading;
	fuzz_check_cuts(input, run, &setting);
	setting.is_cut_short = false;
	assert_int_equal(xml_pool_new(namespaces, NS_COUNT, &setting.pool), 0);
	fuzz_run(input, PIECES_WHOLE, run, &setting, &with_fresh);
	xml_pool_free(setting.pool);
	FUZZ_CHECK(sv_eq(buffer_sv(&with_used), buffer_sv(&with_fresh)));
	buffer_deinit(&with_used);
	buffer_deinit(&with_fresh);
	check_again(fuzz_part(&rest, '\0'));
}
