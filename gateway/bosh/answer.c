/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/answer.h"

#include <assert.h>
#include <inttypes.h>

#include "common/writer.h"

enum {
	/* Payloads of this size are not copied into the answer. Copying fewer costs less than to
	 * give their memory away. */
	TAKE_MIN = 16 * 1024,
};

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

/* An answer in parts. */
struct parts {
	struct sv before[2], payloads, after[2];
};

static size_t length_of(const struct sv parts[static 2])
{
	return parts[0].n + parts[1].n;
}

static char *put(char *at, const struct sv parts[static 2])
{
	for (size_t i = 0; i < 2; i++) {
		if (parts[i].n) {
			memcpy(at, parts[i].data, parts[i].n);
			at += parts[i].n;
		}
	}
	return at;
}

/* Makes one blob of @parts. */
static int join(const struct parts *parts, struct blob **ret_blob, struct sv *ret_payloads)
{
	const struct sv payloads[] = {parts->payloads, SV_EMPTY};
	int r = blob_new(length_of(parts->before) + payloads[0].n + length_of(parts->after),
			 ret_blob);

	if (r < 0) {
		return r;
	}
	char *at = put((*ret_blob)->data, parts->before);

	*ret_payloads = (struct sv){at, payloads[0].n};
	put(put(at, payloads), parts->after);
	return 0;
}

/* Writes the other parts around the payloads, which are in @pending, and makes a blob of its
 * memory. Returns 0 or -ENOMEM; then @pending is unchanged. */
static int enclose(const struct parts *parts, struct buffer *pending, struct blob **ret_blob,
		   struct sv *ret_payloads)
{
	size_t n_before = length_of(parts->before), n_after = length_of(parts->after);
	char *at = pending->data + pending->offset;

	put(at - n_before, parts->before);
	put(at + pending->n, parts->after);
	pending->offset -= n_before;
	pending->n += n_before + n_after;
	int r = blob_take(pending, ret_blob);

	if (r < 0) {
		pending->offset += n_before;
		pending->n -= n_before + n_after;
		return r;
	}
	*ret_payloads = (struct sv){(*ret_blob)->data + n_before, parts->payloads.n};
	return 0;
}

/* Whether @pending has room for the other parts around the payloads, and not much more before them:
 * that would be kept as long as the answer. */
static bool can_enclose(const struct parts *parts, const struct buffer *pending)
{
	assert(parts->payloads.data == pending->data + pending->offset &&
	       parts->payloads.n == pending->n);
	return pending->n >= TAKE_MIN && pending->offset >= length_of(parts->before) &&
	       pending->offset <= pending->n / 8 &&
	       pending->size - pending->offset - pending->n >= length_of(parts->after);
}

int bosh_answer_write_taking(const struct bosh_answer *answer, struct buffer *pending,
			     struct blob **ret_blob, struct sv *ret_payloads)
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
	const struct parts parts = {
		.before = {has_plain_head ? START : buffer_sv(&head),
			   is_empty ? SV("/>") : SV(">")},
		.payloads = answer->payloads,
		.after = {buffer_sv(&words), is_empty ? SV_EMPTY : SV("</body>")},
	};

	return pending && can_enclose(&parts, pending)
		     ? enclose(&parts, pending, ret_blob, ret_payloads)
		     : join(&parts, ret_blob, ret_payloads);
}

int bosh_answer_write(const struct bosh_answer *answer, struct blob **ret_blob,
		      struct sv *ret_payloads)
{
	return bosh_answer_write_taking(answer, NULL, ret_blob, ret_payloads);
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
