/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

#include "gateway/bosh/session-state.h"

/* The name has to be opaque, unpredictable and unique. The sid is all that, and a secret of the
 * client and us, so a hash of it and a number is, too. */
int bosh_stream_make_name(struct bosh_session *session,
			  char ret_name[static BOSH_STREAM_NAME_LENGTH + 1])
{
	static const char digits[] = "0123456789abcdef";
	unsigned char hash[EVP_MAX_MD_SIZE];
	char text[BOSH_SID_MAX + 16];
	int n = snprintf(text, sizeof(text), "%s/%u", session->sid, session->n_named++);

	if (EVP_Digest(text, (size_t)n, hash, NULL, EVP_sha256(), NULL) != 1) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < BOSH_STREAM_NAME_LENGTH; i++) {
		ret_name[i] = digits[i % 2 ? hash[i / 2] & 15 : hash[i / 2] >> 4];
	}
	ret_name[BOSH_STREAM_NAME_LENGTH] = '\0';
	return 0;
}

void bosh_stream_set_state(struct bosh_stream *stream, enum bosh_stream_state state)
{
	static const unsigned allowed[] = {
		[BOSH_STREAM_FREE] = 1 << BOSH_STREAM_OPEN,
		[BOSH_STREAM_SETTLING] = 1 << BOSH_STREAM_FREE,
		[BOSH_STREAM_OPEN] = 1 << BOSH_STREAM_FAILED | 1 << BOSH_STREAM_CLOSED |
				     1 << BOSH_STREAM_SETTLING,
		[BOSH_STREAM_FAILED] = 1 << BOSH_STREAM_SETTLING,
		[BOSH_STREAM_CLOSED] = 1 << BOSH_STREAM_SETTLING,
	};

	assert(allowed[stream->state] & 1U << state);
	stream->state = state;
	assert((stream->failure != NULL) == (state == BOSH_STREAM_FAILED));
}

/* The first free entry, or n_streams. */
static unsigned find_free_entry(const struct bosh_session *session)
{
	unsigned i = 0;

	while (i < session->n_streams && session->streams[i].state != BOSH_STREAM_FREE) {
		i++;
	}
	return i;
}

static bool is_entry_free(const struct bosh_session *session)
{
	return find_free_entry(session) < session->n_streams;
}

bool bosh_stream_may_open(const struct bosh_session *session)
{
	return is_entry_free(session) || session->n_streams < session->limits->n_streams_max;
}

void bosh_streams_settle(struct bosh_session *session)
{
	for (unsigned i = 0; i < session->n_streams; i++) {
		if (session->streams[i].state == BOSH_STREAM_SETTLING) {
			bosh_stream_set_state(&session->streams[i], BOSH_STREAM_FREE);
		}
	}
}

/* Makes sure that an entry is free. Few sessions ever have more than one stream, so the others are
 * allocated with the second, and with them the ring of former names. */
static int make_entries(struct bosh_session *session)
{
	unsigned n = session->n_streams ? session->limits->n_streams_max : 1;
	struct bosh_stream *streams;

	if (is_entry_free(session)) {
		return 0;
	}
	if (session->n_streams && !session->reused) {
		session->reused = calloc(session->creation.requests, sizeof(*session->reused));
	}
	streams = reallocarray(session->streams, n, sizeof(*streams));
	if (streams) {
		session->streams = streams;
	}
	if (!streams || (session->n_streams && !session->reused)) {
		return -ENOMEM;
	}
	memset(streams + session->n_streams, 0, (n - session->n_streams) * sizeof(*streams));
	session->n_streams = n;
	return 0;
}

int bosh_stream_open(struct bosh_session *session, unsigned *ret_stream)
{
	char name[BOSH_STREAM_NAME_LENGTH + 1] = "";
	int r = make_entries(session);

	if (r == 0 && session->offers_streams) {
		r = bosh_stream_make_name(session, name);
	}
	if (r < 0) {
		return r;
	}
	*ret_stream = find_free_entry(session);
	assert(*ret_stream < session->n_streams);
	struct bosh_stream *stream = &session->streams[*ret_stream];

	bosh_stream_set_state(stream, BOSH_STREAM_OPEN);
	if (stream->name[0]) {
		/* There is more than one entry. */
		assert(session->reused);
		unsigned place = session->n_reused++ % session->creation.requests;

		memcpy(session->reused[place], stream->name, sizeof(stream->name));
	}
	memcpy(stream->name, name, sizeof(name));
	session->n_used++;
	session->n_opened++;
	return 0;
}

int bosh_stream_fail(struct bosh_stream *stream, const struct failure *failure)
{
	stream->failure = malloc(sizeof(*stream->failure));
	if (!stream->failure) {
		return -ENOMEM;
	}
	*stream->failure = *failure;
	bosh_stream_set_state(stream, BOSH_STREAM_FAILED);
	buffer_deinit(&stream->waiting);
	return 0;
}

void bosh_stream_remove(struct bosh_session *session, struct bosh_stream *stream)
{
	if (!bosh_stream_is_used(stream)) {
		return;
	}
	bosh_reply_cache_forget_stream(&session->replies, bosh_stream_index(session, stream));
	buffer_deinit(&stream->pending);
	buffer_deinit(&stream->waiting);
	free(stream->from);
	free(stream->authid);
	free(stream->failure);
	struct bosh_stream removed = {.state = stream->state};

	memcpy(removed.name, stream->name, sizeof(removed.name));
	*stream = removed;
	bosh_stream_set_state(stream, BOSH_STREAM_SETTLING);
	session->n_used--;
}

struct bosh_stream *bosh_stream_find(struct bosh_session *session, struct sv name)
{
	for (unsigned i = 0; i < session->n_streams; i++) {
		struct bosh_stream *stream = &session->streams[i];

		if (bosh_stream_is_used(stream) && sv_eq(sv_from(stream->name), name)) {
			return stream;
		}
	}
	return NULL;
}

bool bosh_stream_was_closed(const struct bosh_session *session, struct sv name)
{
	bool was_closed = false;

	for (unsigned i = 0; session->reused && i < session->creation.requests; i++) {
		was_closed |= sv_eq(sv_from(session->reused[i]), name);
	}
	for (unsigned i = 0; i < session->n_streams; i++) {
		const struct bosh_stream *stream = &session->streams[i];

		was_closed |= !bosh_stream_is_used(stream) && sv_eq(sv_from(stream->name), name);
	}
	return was_closed && name.n;
}

struct bosh_stream *bosh_stream_due(struct bosh_session *session)
{
	for (unsigned i = 1; i <= session->n_streams; i++) {
		unsigned index = (session->last_answered + i) % session->n_streams;
		struct bosh_stream *stream = &session->streams[index];

		if (bosh_stream_is_used(stream) && (stream->pending.n || stream->failure)) {
			return stream;
		}
	}
	return NULL;
}

struct bosh_stream *bosh_stream_last_failed(struct bosh_session *session)
{
	if (session->n_used != 1) {
		return NULL;
	}
	for (unsigned i = 0; i < session->n_streams; i++) {
		if (bosh_stream_is_used(&session->streams[i])) {
			return session->streams[i].failure ? &session->streams[i] : NULL;
		}
	}
	return NULL;
}

size_t bosh_streams_n_pending(const struct bosh_session *session)
{
	size_t n = 0;

	for (unsigned i = 0; i < session->n_streams; i++) {
		n += session->streams[i].pending.n;
	}
	return n;
}

size_t bosh_streams_held(const struct bosh_session *session)
{
	size_t n = 0;

	for (unsigned i = 0; i < session->n_streams; i++) {
		n += session->streams[i].pending.size + session->streams[i].waiting.size;
	}
	return n;
}

enum bosh_congestion bosh_streams_congestion(const struct bosh_session *session)
{
	enum bosh_congestion most = BOSH_CONGESTION_NONE;

	for (unsigned i = 0; i < session->n_streams; i++) {
		if (session->streams[i].state == BOSH_STREAM_OPEN &&
		    session->streams[i].congestion > most) {
			most = session->streams[i].congestion;
		}
	}
	return most;
}
