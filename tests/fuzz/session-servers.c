/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/session-world.h"

void servers_give_features(struct world *world, unsigned number)
{
	struct stream *stream = &world->streams[number];
	struct buffer *pending;

	if (world->has_ended || stream->state != STREAM_OPEN) {
		return;
	}
	world_tell(world, "features of stream %u", number);
	WORLD_CHECK(world,
		    bosh_session_header(world->session, stream->entry, "ID", "a.example") == 0);
	pending = bosh_session_pending(world->session, stream->entry, true, true);
	WORLD_CHECK(world, buffer_printf(pending, "<f n='%u'/>", number) == 0);
	stream->is_ready = true;
	network_done(world, bosh_session_flush(world->session, world->now, &world->actions));
}

static void say(struct world *world, unsigned number, unsigned n_more)
{
	struct stream *stream = &world->streams[number];

	world_tell(world, "stream %u says %u", number, n_more + 1);
	for (unsigned i = 0; i <= n_more && world->n_downs + 1 < STANZAS_MAX; i++) {
		struct buffer *pending =
			bosh_session_pending(world->session, stream->entry, false, false);

		world->downs[++world->n_downs] =
			(struct down){.stream = number, .before = stream->last_down};
		stream->last_down = world->n_downs;
		WORLD_CHECK(world,
			    buffer_printf(pending, "<s n='%zu'%*s/>", world->n_downs,
					  (int)choose_small(world, world->pace.padding), "") == 0);
	}
	network_done(world, bosh_session_flush(world->session, world->now, &world->actions));
}

static void congest(struct world *world, unsigned number, enum bosh_congestion congestion)
{
	struct stream *stream = &world->streams[number];

	world_tell(world, "stream %u: congestion %d", number, (int)congestion);
	if (stream->congestion == BOSH_CONGESTION_NONE) {
		world_plan(world, 20 + choose_small(world, 4000), EVENT_EASES, number);
	}
	stream->congestion = congestion;
	network_done(world, bosh_session_congest(world->session, stream->entry, congestion,
						 world->now, &world->actions));
}

void servers_ease(struct world *world, unsigned number)
{
	struct stream *stream = &world->streams[number];

	if (world->has_ended || stream->state != STREAM_OPEN) {
		return;
	}
	world_tell(world, "stream %u: no congestion", number);
	stream->congestion = BOSH_CONGESTION_NONE;
	network_done(world,
		     bosh_session_congest(world->session, stream->entry, BOSH_CONGESTION_NONE,
					  world->now, &world->actions));
}

void servers_speak(struct world *world)
{
	unsigned number = world->of_entry[choose(world, world->limits.n_streams_max)];
	struct stream *stream = &world->streams[number];
	unsigned what = choose(world, 40);

	if (world->has_ended || world->is_settled || stream->state != STREAM_OPEN) {
		return;
	}
	if (what == 1) {
		congest(world, number,
			choose_likely(world, 50) ? BOSH_CONGESTION_FULL : BOSH_CONGESTION_SOME);
	} else if (what == 2) {
		stream->is_managed = true;
		bosh_session_set_managed(world->session, stream->entry);
	} else if (stream->is_ready && !stream->is_stopped) {
		say(world, number, choose(world, 3));
	}
}

void servers_fail(struct world *world, unsigned number)
{
	struct stream *stream = &world->streams[number];
	struct failure failure;

	if (world->has_ended || stream->state != STREAM_OPEN) {
		return;
	}
	world_tell(world, "stream %u fails", number);
	failure_set(&failure, FAILURE_CONNECTION_LOST, NULL);
	stream->state = STREAM_FAILED;
	network_done(world, bosh_session_fail(world->session, stream->entry, &failure, world->now,
					      &world->actions));
}
