/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/answer.h"

#include <inttypes.h>

#include "common/writer.h"

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

unsigned bosh_condition_status(enum bosh_condition condition, bool is_legacy)
{
	return is_legacy ? conditions[condition].legacy_status : 200;
}

static void put_creation(struct writer *writer, const struct bosh_creation *creation)
{
	writer_printf(writer,
		      " xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0' xmpp:restartlogic='true'"
		      " sid='%s' wait='%u' hold='%u' requests='%u' inactivity='%u' polling='%u'"
		      " charsets='UTF-8'",
		      creation->sid, creation->wait_s, creation->hold, creation->requests,
		      creation->inactivity_s, creation->polling_s);
	if (creation->maxpause_s) {
		writer_printf(writer, " maxpause='%u'", creation->maxpause_s);
	}
	if (creation->accepts_codings) {
		writer_put(writer, SV(" accept='gzip,deflate'"));
	}
	if (creation->has_ver) {
		writer_printf(writer, " ver='%u.%u'", creation->ver_major, creation->ver_minor);
	}
}

#define START SV("<body xmlns='http://jabber.org/protocol/httpbind'")

/* Most answers carry payloads and say nothing else, so that their start tag is always the same. */
static bool is_plain(const struct bosh_answer *answer)
{
	return !answer->creation && !answer->from && !answer->authid && !answer->uses_stream &&
	       !answer->stream && !answer->opens && !answer->ack && !answer->report &&
	       !answer->type && !answer->condition;
}

/* The start tag, without its last character. */
static int write_head(struct buffer *buffer, const struct bosh_answer *answer)
{
	struct writer writer = writer_begin(buffer);

	writer_put(&writer, START);
	if (answer->uses_stream) {
		writer_put(&writer, SV(" xmlns:stream='http://etherx.jabber.org/streams'"));
	}
	if (answer->creation) {
		put_creation(&writer, answer->creation);
	} else if (answer->opens) {
		/* XEP-0206, "Session Creation Response": the version, also when adding streams. */
		writer_put(&writer, SV(" xmlns:xmpp='urn:xmpp:xbosh' xmpp:version='1.0'"));
	}
	if (answer->ack) {
		writer_printf(&writer, " ack='%" PRIu64 "'", answer->ack);
	}
	if (answer->report) {
		writer_printf(&writer, " report='%" PRIu64 "' time='%u'", answer->report,
			      answer->report_ms);
	}
	writer_attribute(&writer, SV("type"), sv_from(answer->type));
	writer_attribute(&writer, SV("condition"), sv_from(answer->condition));
	writer_attribute(&writer, SV("stream"), sv_from(answer->stream));
	writer_attribute(&writer, SV("from"), sv_from(answer->from));
	writer_attribute(&writer, SV("authid"), sv_from(answer->authid));
	return writer_end(&writer);
}

/* What the gateway itself has to say. */
static int write_words(struct buffer *buffer, const struct bosh_answer *answer)
{
	struct writer writer = writer_begin(buffer);

	if (answer->uri) {
		writer_put(&writer, SV("<uri>"));
		writer_escaped(&writer, sv_from(answer->uri));
		writer_put(&writer, SV("</uri>"));
	} else if (answer->text) {
		writer_put(&writer, SV("<text xmlns='urn:ietf:params:xml:ns:xmpp-streams'>"));
		writer_escaped(&writer, sv_from(answer->text));
		if (answer->detail && answer->detail[0]) {
			writer_put(&writer, SV(": "));
			writer_escaped(&writer, sv_from(answer->detail));
		}
		writer_put(&writer, SV("</text>"));
	}
	return writer_end(&writer);
}

/* Makes one blob of @n_parts. *ret_payloads is where the part at @i_payloads is in it. */
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

int bosh_answer_write(const struct bosh_answer *answer, struct blob **ret_blob,
		      struct sv *ret_payloads)
{
	_cleanup_(buffer_deinit) struct buffer head = BUFFER_INIT;
	_cleanup_(buffer_deinit) struct buffer words = BUFFER_INIT;
	bool has_plain_head = is_plain(answer);
	int r = has_plain_head ? 0 : write_head(&head, answer);

	if (r == 0) {
		r = write_words(&words, answer);
	}
	if (r < 0) {
		return r;
	}
	bool is_empty = answer->payloads.n + words.n == 0;
	const struct sv parts[] = {
		has_plain_head ? START : buffer_sv(&head),
		is_empty ? SV("/>") : SV(">"),
		answer->payloads,
		buffer_sv(&words),
		is_empty ? SV_EMPTY : SV("</body>"),
	};

	return join(parts, ARRAY_LENGTH(parts), 2, ret_blob, ret_payloads);
}

int bosh_refusal(enum bosh_condition condition, const char *text, bool is_legacy,
		 unsigned *ret_status, struct blob **ret_blob)
{
	bool is_elsewhere = condition == BOSH_CONDITION_SEE_OTHER_URI;
	struct sv payloads;

	*ret_status = bosh_condition_status(condition, is_legacy);
	return bosh_answer_write(
		&(struct bosh_answer){
			.type = "terminate",
			.condition = bosh_condition_name(condition),
			.text = is_elsewhere ? NULL : text,
			.uri = is_elsewhere ? text : NULL,
		},
		ret_blob, &payloads);
}

void bosh_answer_set_failure(struct bosh_answer *answer, const struct failure *failure)
{
	answer->type = "terminate";
	answer->condition = failure_bosh_condition(failure->kind);
	/* The server's stream error is pending, and says more. */
	if (failure->kind != FAILURE_STREAM_ERROR) {
		answer->text = failure_sentence(failure->kind);
		answer->detail = failure->public_detail;
	}
}
