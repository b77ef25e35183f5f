/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/bosh/session-state.h"

/* Drops @n from the @first on. */
static void drop(struct bosh_session *session, size_t first, size_t n)
{
	struct bosh_kept *kept = session->kept + first;

	for (size_t i = 0; i < n; i++) {
		session->n_kept_bytes -= kept[i].payloads.n;
		blob_unref(kept[i].blob);
	}
	session->n_kept -= n;
	if (n) {
		memmove(kept, kept + n, (session->n_kept - first) * sizeof(*kept));
	}
}

/* Makes room for one more, of @n_bytes. What is kept is bounded in bytes, too: before it is acknowledged by that the servers are not
 * read; else, at twice of what may be pending, by forgetting all but the last. The answer to a pause does not count among the `requests` that are kept ("Broken Connections"); so there is
 * one of it at most, or else they would be without number. */
static void drop_surplus(struct bosh_session *session, bool pause, size_t n_bytes)
{
	size_t n_max = session->acks ? BOSH_KEPT_MAX : session->creation.requests;
	size_t n_counted = !pause;

	while (!session->acks && session->n_kept_bytes &&
	       session->n_kept_bytes + n_bytes > 2 * session->limits->n_pending_max) {
		drop(session, 0, 1);
	}
	for (size_t i = session->n_kept; i-- > 0;) {
		n_counted += !session->kept[i].pause;
		if (n_counted > n_max) {
			drop(session, 0, i + 1);
			return;
		}
		if (pause && session->kept[i].pause) {
			drop(session, i, 1);
		}
	}
}

static int make_place(struct bosh_session *session)
{
	size_t n_places = session->n_kept_places ? 2 * session->n_kept_places : 1;
	struct bosh_kept *kept;

	if (session->n_kept < session->n_kept_places) {
		return 0;
	}
	kept = reallocarray(session->kept, n_places, sizeof(*kept));
	if (!kept) {
		return -ENOMEM;
	}
	session->kept = kept;
	session->n_kept_places = n_places;
	return 0;
}

int bosh_kept_put(struct bosh_session *session, const struct bosh_slot *slot, struct blob *blob,
		  const struct bosh_stream *stream, struct sv payloads, struct mono now)
{
	drop_surplus(session, slot->pause, payloads.n);
	int r = make_place(session);

	if (r < 0) {
		return r;
	}
	session->kept[session->n_kept++] = (struct bosh_kept){
		.rid = slot->rid,
		.blob = blob_ref(blob),
		.answered = now,
		.n_repeats = slot->n_repeats,
		.key = slot->key,
		.pause = slot->pause,
		.stream = payloads.n ? bosh_stream_index(session, stream) : 0,
		.payloads = payloads,
	};
	session->n_kept_bytes += payloads.n;
	return 0;
}

void bosh_kept_follow(struct bosh_session *session)
{
	for (size_t i = 0; i < session->n_kept; i++) {
		session->kept[i].followed = true;
	}
}

struct bosh_kept *bosh_kept_find(struct bosh_session *session, uint64_t rid)
{
	for (size_t i = 0; i < session->n_kept; i++) {
		if (session->kept[i].rid == rid) {
			return &session->kept[i];
		}
	}
	return NULL;
}

void bosh_kept_acknowledge(struct bosh_session *session, uint64_t rid, struct mono now)
{
	size_t n = 0;

	while (n < session->n_kept && session->kept[n].rid <= rid) {
		n++;
	}
	drop(session, 0, n);
	if (session->n_kept == 0 || session->kept[0].rid != rid + 1 || session->reported == rid + 1) {
		return;
	}
	int64_t ms = mono_diff_ms(now, session->kept[0].answered);

	if (ms >= BOSH_REPORT_MS) {
		session->report = rid + 1;
		session->report_ms = ms < UINT16_MAX ? (unsigned)ms : UINT16_MAX;
	}
}

void bosh_kept_forget_stream(struct bosh_session *session, const struct bosh_stream *stream)
{
	for (size_t i = 0; i < session->n_kept; i++) {
		struct bosh_kept *kept = &session->kept[i];

		if (kept->payloads.n && kept->stream == bosh_stream_index(session, stream)) {
			session->n_kept_bytes -= kept->payloads.n;
			kept->payloads = SV_EMPTY;
		}
	}
}

void bosh_kept_deinit(struct bosh_session *session)
{
	drop(session, 0, session->n_kept);
	free(session->kept);
	session->kept = NULL;
}
