/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/answer.h"

#include <inttypes.h>
#include <stdio.h>

static const struct {
	const char *name;
	unsigned legacy_status;
} conditions[] = {
#define X(id, name, legacy_status) [BOSH_CONDITION_##id] = {name, legacy_status},
	BOSH_CONDITIONS(X)
#undef X
};

const char *bosh_condition_name(enum bosh_condition condition)
{
	return conditions[condition].name;
}

unsigned bosh_condition_status(enum bosh_condition condition, bool legacy)
{
	return legacy ? conditions[condition].legacy_status : 200;
}

static int write_attribute(struct buffer *buffer, const char *name, const char *value)
{
	int r;

	if (!value) {
		return 0;
	}
	r = buffer_printf(buffer, " %s='", name);
	if (r == 0) {
		r = buffer_append_escaped(buffer, sv_from(value));
	}
	return r < 0 ? r : buffer_append_sv(buffer, SV("'"));
}

static int write_creation(struct buffer *buffer, const struct bosh_creation *creation)
{
	int r = buffer_printf(buffer,
			      " xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0' xmpp:restartlogic='true'"
			      " sid='%s' wait='%u' hold='%u' requests='%u' inactivity='%u' polling='%u' charsets='UTF-8'",
			      creation->sid, creation->wait_s, creation->hold, creation->requests,
			      creation->inactivity_s, creation->polling_s);

	if (r == 0 && creation->maxpause_s) {
		r = buffer_printf(buffer, " maxpause='%u'", creation->maxpause_s);
	}
	if (r == 0 && creation->codings) {
		r = buffer_append_sv(buffer, SV(" accept='gzip,deflate'"));
	}
	if (r == 0 && creation->has_ver) {
		r = buffer_printf(buffer, " ver='%u.%u'", creation->ver_major, creation->ver_minor);
	}
	return r;
}

static int write_acknowledgements(struct buffer *buffer, const struct bosh_answer *answer)
{
	int r = 0;

	if (answer->ack) {
		r = buffer_printf(buffer, " ack='%" PRIu64 "'", answer->ack);
	}
	if (r == 0 && answer->report) {
		r = buffer_printf(buffer, " report='%" PRIu64 "' time='%u'", answer->report, answer->report_ms);
	}
	return r;
}

/* The start tag, without its last character. */
static int write_head(struct buffer *buffer, const struct bosh_answer *answer)
{
	int r = buffer_append_sv(buffer, SV("<body xmlns='http://jabber.org/protocol/httpbind'"));

	if (r == 0 && answer->uses_stream) {
		r = buffer_append_sv(buffer, SV(" xmlns:stream='http://etherx.jabber.org/streams'"));
	}
	if (r == 0 && answer->creation) {
		r = write_creation(buffer, answer->creation);
	} else if (r == 0 && answer->opens) {
		/* XEP-0206, "Session Creation Response": the version, also when adding streams. */
		r = buffer_append_sv(buffer, SV(" xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0'"));
	}
	if (r == 0) {
		r = write_acknowledgements(buffer, answer);
	}
	if (r == 0) {
		r = write_attribute(buffer, "type", answer->type);
	}
	if (r == 0) {
		r = write_attribute(buffer, "condition", answer->condition);
	}
	if (r == 0) {
		r = write_attribute(buffer, "stream", answer->stream);
	}
	if (r == 0) {
		r = write_attribute(buffer, "from", answer->from);
	}
	return r < 0 ? r : write_attribute(buffer, "authid", answer->authid);
}

/* What the gateway itself has to say. */
static int write_words(struct buffer *buffer, const struct bosh_answer *answer)
{
	int r = 0;

	if (answer->uri) {
		r = buffer_append_sv(buffer, SV("<uri>"));
		r = r < 0 ? r : buffer_append_escaped(buffer, sv_from(answer->uri));
		return r < 0 ? r : buffer_append_sv(buffer, SV("</uri>"));
	}
	if (!answer->text) {
		return 0;
	}
	r = buffer_append_sv(buffer, SV("<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>"));
	if (r == 0) {
		r = buffer_append_escaped(buffer, sv_from(answer->text));
	}
	if (r == 0 && answer->detail && answer->detail[0]) {
		r = buffer_append_sv(buffer, SV(": "));
		if (r == 0) {
			r = buffer_append_escaped(buffer, sv_from(answer->detail));
		}
	}
	return r < 0 ? r : buffer_append_sv(buffer, SV("</text>"));
}

/* One blob of @n_parts, of which the one at @i_payloads is told. */
static int join(const struct sv *parts, size_t n_parts, size_t i_payloads, struct blob **ret_blob,
		struct sv *ret_payloads)
{
	size_t n = 0;

	for (size_t i = 0; i < n_parts; i++) {
		n += parts[i].n;
	}
	int r = blob_new(n, ret_blob);

	if (r < 0) {
		return r;
	}
	char *at = (*ret_blob)->data;

	for (size_t i = 0; i < n_parts; i++) {
		if (i == i_payloads) {
			*ret_payloads = (struct sv){at, parts[i].n};
		}
		if (parts[i].n) {
			memcpy(at, parts[i].data, parts[i].n);
			at += parts[i].n;
		}
	}
	return 0;
}

int bosh_answer_write(const struct bosh_answer *answer, struct blob **ret_blob, struct sv *ret_payloads)
{
	_cleanup_(buffer_deinit) struct buffer head = BUFFER_INIT;
	_cleanup_(buffer_deinit) struct buffer words = BUFFER_INIT;
	int r = write_head(&head, answer);

	if (r == 0) {
		r = write_words(&words, answer);
	}
	if (r < 0) {
		return r;
	}
	bool empty = answer->payloads.n + words.n == 0;
	const struct sv parts[] = {
		buffer_sv(&head),
		empty ? SV("/>") : SV(">"),
		answer->payloads,
		buffer_sv(&words),
		empty ? SV_EMPTY : SV("</body>"),
	};

	return join(parts, ARRAY_LENGTH(parts), 2, ret_blob, ret_payloads);
}

int bosh_refusal(enum bosh_condition condition, const char *text, bool legacy, unsigned *ret_status,
		 struct blob **ret_blob)
{
	bool elsewhere = condition == BOSH_CONDITION_SEE_OTHER_URI;
	struct sv payloads;

	*ret_status = bosh_condition_status(condition, legacy);
	return bosh_answer_write(
		&(struct bosh_answer){
			.type = "terminate",
			.condition = bosh_condition_name(condition),
			.text = elsewhere ? NULL : text,
			.uri = elsewhere ? text : NULL,
		},
		ret_blob, &payloads);
}

void bosh_answer_set_failure(struct bosh_answer *answer, const struct failure *failure)
{
	answer->type = "terminate";
	answer->condition = failure_bosh_condition(failure->kind);
	/* The server's own words are pending. */
	if (failure->kind != FAILURE_STREAM_ERROR) {
		answer->text = failure_sentence(failure->kind);
		answer->detail = failure->public_detail;
	}
}
