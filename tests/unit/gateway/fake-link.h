/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Links without a network, for tests of the sessions above them: what the session sends and does is
 * written into a script, and the test decides what the server sends. The stream engine is the real
 * one. Included after cmocka.h, in one file of a program. The linker prefers the functions that are
 * defined here to those of the same name in the library of what is tested; random_name() counts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/random.h"
#include "gateway/xmpp/link.h"

enum {
	SCRIPT_MAX = 256 * 1024,
};

/* Needs no memory of its own: it must not fail where the test makes allocations fail. */
static struct {
	char text[SCRIPT_MAX];
	size_t n;
} script;

struct fake_link {
	const struct link_callbacks *callbacks;
	void *userdata;
	struct stream stream;
};

/* The one that was made last and is not gone. */
static struct fake_link *fake_link;
static unsigned n_random;

static inline void script_add(const char *what, struct sv text)
{
	int n = snprintf(script.text + script.n, sizeof(script.text) - script.n, "%s %.*s\n", what,
			 SV_ARGS(text));

	assert_in_range(n, 0, sizeof(script.text) - script.n - 1);
	script.n += (size_t)n;
}

static inline void script_reset(void)
{
	script.n = 0;
	script.text[0] = '\0';
	n_random = 0;
}

static inline struct fake_link *fake_of(struct link *link)
{
	return (struct fake_link *)link;
}

/* There is no log to look at. */
bool worker_may_log(const struct worker_env *env, enum client_log_kind kind,
		    const struct address *client)
{
	(void)env;
	(void)kind;
	(void)client;
	return false;
}

int random_name(char *text, size_t n)
{
	char letter = (char)('a' + n_random++ % 26);

	memset(text, letter, n);
	text[n] = '\0';
	return 0;
}

static inline struct fake_link *fake_free(struct fake_link *fake)
{
	if (fake == fake_link) {
		fake_link = NULL;
	}
	stream_deinit(&fake->stream);
	free(fake);
	return NULL;
}

int link_new(struct link_env *env, const struct stream_target *target,
	     const struct link_options *options, struct link **ret_link)
{
	struct fake_link *fake = calloc(1, sizeof(*fake));

	if (!fake) {
		return -ENOMEM;
	}
	*fake = (struct fake_link){.callbacks = options->callbacks, .userdata = options->userdata};
	stream_init(&fake->stream, env->pool, &env->scan_options, DOMAIN_TLS_OFF);
	int r = stream_open(&fake->stream, target, true);

	if (r < 0) {
		fake_free(fake);
		return r;
	}
	script_add("link", buffer_sv(&fake->stream.out));
	fake_link = fake;
	*ret_link = (struct link *)fake;
	return 0;
}

struct link *link_close(struct link *link)
{
	if (link) {
		script_add("close", SV(""));
		fake_free(fake_of(link));
	}
	return NULL;
}

struct link *link_drop(struct link *link)
{
	if (link) {
		script_add("drop", SV(""));
		fake_free(fake_of(link));
	}
	return NULL;
}

int link_return(struct link *link, struct sv stanzas)
{
	(void)link;
	if (stanzas.n) {
		script_add("return", stanzas);
	}
	return 0;
}

void link_discard_waiting(struct link *link)
{
	(void)link;
}

bool link_can_return(const struct link *link)
{
	const struct stream *stream = &((const struct fake_link *)link)->stream;
	/* As the real one: a server that has closed its stream takes them, too. */
	bool is_open =
		stream->state == STREAM_STATE_OPEN || stream->failure.kind == FAILURE_STREAM_CLOSED;

	return is_open && stream->is_logged_in && !stream->is_managed;
}

int link_return_event(struct link *link)
{
	struct buffer element = BUFFER_INIT;
	int r = stream_event_write(&fake_of(link)->stream, &element);

	if (r == 0) {
		script_add("return", buffer_sv(&element));
	}
	buffer_deinit(&element);
	return r;
}

int link_gather(struct link *link, struct sv elements)
{
	if (fake_of(link)->stream.state != STREAM_STATE_OPEN) {
		return LINK_E_EARLY;
	}
	script_add("to server", elements);
	return 0;
}

int link_restart(struct link *link, const struct stream_target *target)
{
	script_add("restart", SV(""));
	return stream_restart(&fake_of(link)->stream, target);
}

bool link_is_full(const struct link *link)
{
	(void)link;
	return false;
}

bool link_is_congested(const struct link *link)
{
	(void)link;
	return false;
}

void link_pause(struct link *link, bool pause)
{
	(void)link;
	(void)pause;
}

size_t link_held(const struct link *link)
{
	return stream_held(&((const struct fake_link *)link)->stream);
}

struct stream *link_stream(struct link *link)
{
	return &((struct fake_link *)link)->stream;
}

static inline void fake_fail(struct fake_link *fake, const struct failure *failure)
{
	fake->callbacks->over(fake->userdata, failure);
}

/* Tells one event. False: the link is over or gone. */
static inline bool fake_tell(struct fake_link *fake, enum stream_event_kind kind)
{
	switch (kind) {
	case STREAM_EVENT_HEADER:
		fake->callbacks->header(fake->userdata);
		break;
	case STREAM_EVENT_FEATURES:
	case STREAM_EVENT_ELEMENT:
	case STREAM_EVENT_ERROR:
		fake->callbacks->element(fake->userdata, kind);
		if (fake == fake_link && kind == STREAM_EVENT_ERROR) {
			fake_fail(fake, &fake->stream.failure);
			return false;
		}
		break;
	case STREAM_EVENT_CLOSED:
	case STREAM_EVENT_FAILED:
		fake_fail(fake, &fake->stream.failure);
		return false;
	default:
		return false;
	}
	return fake == fake_link;
}

/* The server of the latest link sends @text, unless the link is gone. */
static inline void server_says(const char *text)
{
	struct fake_link *fake = fake_link;
	enum stream_event_kind kind;
	struct failure failure;

	if (!fake) {
		return;
	}
	int r = stream_feed(&fake->stream, text, strlen(text));

	do {
		if (r == 0) {
			r = stream_next(&fake->stream, &kind);
		}
		if (r < 0) {
			failure_set(&failure, FAILURE_INTERNAL, NULL);
			fake_fail(fake, &failure);
			return;
		}
	} while (fake_tell(fake, kind));
	if (fake == fake_link && fake->stream.state != STREAM_STATE_OVER) {
		fake->callbacks->flush(fake->userdata);
	}
	if (fake == fake_link) {
		fake->callbacks->held(fake->userdata);
	}
}
