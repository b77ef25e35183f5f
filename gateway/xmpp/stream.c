/* SPDX-License-Identifier: MIT */
#include "gateway/xmpp/stream.h"

#include <errno.h>
#include <stdlib.h>

#include "common/writer.h"
#include "gateway/xmpp/namespace.h"

void stream_init(struct stream *stream, struct xml_pool *pool,
		 const struct xml_scan_options *options, enum domain_tls tls)
{
	*stream = (struct stream){.pool = pool, .options = *options, .tls = tls};
	xml_scan_init(&stream->scan, pool, &stream->options);
}

static void forget_server(struct stream *stream)
{
	xml_scan_deinit(&stream->scan);
	xml_scan_init(&stream->scan, stream->pool, &stream->options);
	stream->feed_result = 0;
	stream->has_input = false;
	stream->has_succeeded = false;
	stream->again = STREAM_EVENT_NONE;
	buffer_deinit(&stream->features);
	free(stream->id);
	free(stream->from);
	free(stream->lang);
	stream->id = NULL;
	stream->from = NULL;
	stream->lang = NULL;
}

void stream_deinit(struct stream *stream)
{
	forget_server(stream);
	buffer_deinit(&stream->out);
	free(stream->to);
	free(stream->client);
	free(stream->client_lang);
	free(stream->version);
	stream->to = NULL;
	stream->client = NULL;
	stream->client_lang = NULL;
	stream->version = NULL;
	stream->state = STREAM_STATE_OVER;
}

struct xml_scan_options stream_options(size_t n_element_max)
{
	return (struct xml_scan_options){
		.n_element_max = n_element_max,
		.with_children = NS_BIT(STREAMS) | NS_BIT(SASL) | NS_BIT(SASL2),
	};
}

static int over(struct stream *stream, int r)
{
	stream->state = STREAM_STATE_OVER;
	return r;
}

static int keep(char **field, struct sv text)
{
	if (text.n == 0) {
		return 0;
	}
	char *copy = strndup(text.data, text.n);

	if (!copy) {
		return -ENOMEM;
	}
	free(*field);
	*field = copy;
	return 0;
}

int stream_set_target(struct stream *stream, const struct stream_target *target)
{
	int r = keep(&stream->to, target->to);

	if (r == 0) {
		r = keep(&stream->client, target->from);
	}
	if (r == 0) {
		r = keep(&stream->client_lang, target->lang);
	}
	return r < 0 ? r : keep(&stream->version, target->version);
}

static int write_header(struct stream *stream)
{
	bool is_private = stream->is_secure || stream->is_in_use || stream->tls == DOMAIN_TLS_OFF;
	struct writer writer = writer_begin(&stream->out);

	writer_put(&writer, SV("<?xml version='1.0'?><stream:stream xmlns='jabber:client' "
			       "xmlns:stream='http://etherx.jabber.org/streams'"));
	writer_attribute(&writer, SV("to"), sv_from(stream->to));
	if (is_private) {
		writer_attribute(&writer, SV("from"), sv_from(stream->client));
	}
	writer_attribute(&writer, SV("xml:lang"), sv_from(stream->client_lang));
	writer_attribute(&writer, SV("version"),
			 sv_from(stream->version ? stream->version : "1.0"));
	writer_put(&writer, SV(">"));
	int r = writer_end(&writer);

	if (r < 0) {
		return over(stream, r);
	}
	forget_server(stream);
	stream->state = STREAM_STATE_HEADER;
	return 0;
}

int stream_open(struct stream *stream, const struct stream_target *target, bool is_secure)
{
	int r = stream_set_target(stream, target);

	stream->is_secure = is_secure;
	return r < 0 ? over(stream, r) : write_header(stream);
}

void stream_rewind(struct stream *stream)
{
	forget_server(stream);
	buffer_deinit(&stream->out);
	stream->is_secure = false;
	stream->is_closing = false;
	stream->state = STREAM_STATE_IDLE;
}

int stream_secured(struct stream *stream)
{
	stream->is_secure = true;
	return write_header(stream);
}

int stream_restart(struct stream *stream, const struct stream_target *target)
{
	if (stream->state != STREAM_STATE_OPEN || stream->is_closing) {
		return 0;
	}
	int r = stream_set_target(stream, target);

	if (r == 0 && !stream->has_succeeded) {
		stream->again = STREAM_EVENT_HEADER;
		return 0;
	}
	return r < 0 ? over(stream, r) : write_header(stream);
}

bool stream_repeats(const struct stream *stream)
{
	return stream->again != STREAM_EVENT_NONE && stream->state == STREAM_STATE_OPEN;
}

int stream_close(struct stream *stream)
{
	if (stream->is_closing || stream->state == STREAM_STATE_IDLE ||
	    stream->state == STREAM_STATE_HANDSHAKE) {
		return 0;
	}
	stream->is_closing = true;
	return buffer_append_sv(&stream->out, SV("</stream:stream>"));
}

/* What arrives before TLS is on must not count: anybody may have sent it. */
static bool takes_input(const struct stream *stream)
{
	return stream->state != STREAM_STATE_IDLE && stream->state != STREAM_STATE_HANDSHAKE &&
	       stream->state != STREAM_STATE_OVER;
}

char *stream_room(struct stream *stream, size_t *ret_n_room)
{
	return takes_input(stream) ? xml_scan_room(&stream->scan, ret_n_room) : NULL;
}

int stream_feed(struct stream *stream, const char *data, size_t n)
{
	if (!takes_input(stream)) {
		return 0;
	}
	stream->has_input = true;
	stream->feed_result = xml_scan_feed(&stream->scan, data, n);
	return stream->feed_result < 0 ? over(stream, stream->feed_result) : 0;
}

static enum stream_event_kind fail(struct stream *stream, enum failure_kind kind,
				   const char *detail)
{
	failure_set(&stream->failure, kind, detail ? "%s" : NULL, detail);
	stream->state = STREAM_STATE_OVER;
	return STREAM_EVENT_FAILED;
}

static enum stream_event_kind fail_scan(struct stream *stream, int r)
{
	switch (r) {
	case XML_E_TOO_LARGE:
		return fail(stream, FAILURE_STREAM_TOO_LARGE, NULL);
	case XML_E_RESTRICTED:
		return fail(stream, FAILURE_STREAM_MALFORMED, "restricted XML");
	default:
		return fail(stream, FAILURE_STREAM_MALFORMED, "not well-formed");
	}
}

static struct sv header_attribute(const struct stream *stream, int ns, struct sv name)
{
	struct sv value = xml_item_attribute(&stream->scan, &stream->item, ns, name);

	/* Part of an id is of no use, and the cut might fall into a character. */
	return value.n <= STREAM_ID_MAX ? value : SV_EMPTY;
}

/* From now on the client uses the stream, also after a restart. */
static void give_to_client(struct stream *stream)
{
	stream->state = STREAM_STATE_OPEN;
	stream->is_in_use = true;
}

static int on_header(struct stream *stream, enum stream_event_kind *ret_kind)
{
	const struct xml_item *item = &stream->item;

	if (item->ns != NS_STREAMS || !sv_eq(item->name, SV("stream"))) {
		*ret_kind =
			fail(stream, FAILURE_STREAM_MALFORMED, "the root is no <stream:stream>");
		return 0;
	}
	int r = keep(&stream->id, header_attribute(stream, XML_NS_NONE, SV("id")));

	if (r == 0) {
		r = keep(&stream->from, header_attribute(stream, XML_NS_NONE, SV("from")));
	}
	if (r == 0) {
		r = keep(&stream->lang, header_attribute(stream, NS_XML, SV("lang")));
	}
	if (r < 0) {
		return over(stream, r);
	}
	stream->state = STREAM_STATE_FEATURES;
	*ret_kind = STREAM_EVENT_HEADER;
	if (header_attribute(stream, XML_NS_NONE, SV("version")).n) {
		return 0;
	}
	/* RFC 6120, 4.7.5: without a version there are no features to wait for. */
	if (stream->tls == DOMAIN_TLS_REQUIRED && !stream->is_secure) {
		*ret_kind = fail(stream, FAILURE_TLS_NOT_OFFERED, NULL);
	} else {
		give_to_client(stream);
	}
	return 0;
}

static bool has_starttls(const struct stream *stream)
{
	for (size_t i = 0; i < stream->item.n_children; i++) {
		struct xml_child child = xml_item_child(&stream->scan, &stream->item, i);

		if (child.ns == NS_TLS && sv_eq(child.name, SV("starttls"))) {
			return true;
		}
	}
	return false;
}

/* Keeps the features for a repetition, as long as there may be one. */
static int keep_features(struct stream *stream)
{
	buffer_deinit(&stream->features);
	int r = stream_event_write(stream, &stream->features);

	if (stream->features.n > STREAM_FEATURES_MAX) {
		buffer_deinit(&stream->features);
	}
	return r;
}

static int on_features(struct stream *stream, enum stream_event_kind *ret_kind)
{
	bool wants_tls = !stream->is_secure && !stream->is_in_use && stream->tls != DOMAIN_TLS_OFF;

	if (wants_tls && has_starttls(stream)) {
		int r = buffer_append_sv(&stream->out,
					 SV("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"));

		if (r < 0) {
			return over(stream, r);
		}
		stream->state = STREAM_STATE_PROCEED;
		return 0;
	}
	if (wants_tls && stream->tls != DOMAIN_TLS_OPPORTUNISTIC) {
		*ret_kind = fail(stream, FAILURE_TLS_NOT_OFFERED, NULL);
		return 0;
	}
	stream->has_offered = true;
	stream->features_are_due = false;
	give_to_client(stream);
	*ret_kind = STREAM_EVENT_FEATURES;
	int r = keep_features(stream);

	return r < 0 ? over(stream, r) : 0;
}

static enum stream_event_kind on_error(struct stream *stream)
{
	char condition[64] = "";

	for (size_t i = 0; i < stream->item.n_children; i++) {
		struct xml_child child = xml_item_child(&stream->scan, &stream->item, i);

		if (child.ns == NS_STREAM_ERRORS && !sv_eq(child.name, SV("text")) &&
		    child.name.n < sizeof(condition)) {
			memcpy(condition, child.name.data, child.name.n);
			condition[child.name.n] = '\0';
			break;
		}
	}
	stream->error_is_early = !stream->is_in_use;
	fail(stream, FAILURE_STREAM_ERROR, condition);
	return STREAM_EVENT_ERROR;
}

static enum stream_event_kind on_proceed(struct stream *stream)
{
	const struct xml_item *item = &stream->item;

	if (item->ns == NS_TLS && sv_eq(item->name, SV("proceed"))) {
		stream->state = STREAM_STATE_HANDSHAKE;
		return STREAM_EVENT_SECURE;
	}
	if (item->ns == NS_TLS && sv_eq(item->name, SV("failure"))) {
		return fail(stream, FAILURE_TLS_NOT_OFFERED,
			    "the server offered TLS and then refused it");
	}
	return fail(stream, FAILURE_STREAM_MALFORMED, "no answer to STARTTLS");
}

/* Whether the server starts stream management with @item. */
static bool is_management(const struct xml_item *item)
{
	if (item->ns == NS_SASL2 && sv_eq(item->name, SV("success"))) {
		/* Or within the login (XEP-0388, XEP-0386), some levels down. All of it is the
		 * server's, so searching its bytes is enough. */
		return sv_contains(item->text, SV("urn:xmpp:sm:")) &&
		       (sv_contains(item->text, SV("<enabled")) ||
			sv_contains(item->text, SV("<resumed")));
	}
	return (item->ns == NS_SM2 || item->ns == NS_SM3) &&
	       (sv_eq(item->name, SV("enabled")) || sv_eq(item->name, SV("resumed")));
}

/* Whether the stream still looks for logins. After one by XEP-0078 it does, because that may have
 * been something else (login.h). */
static bool sees_login(const struct stream *stream)
{
	return !stream->is_logged_in || stream->login.is_legacy;
}

size_t stream_sent(struct stream *stream, struct sv elements)
{
	return sees_login(stream) ? login_sent(&stream->login, elements) : 0;
}

/* Keeps track of the login, on which restarts depend. An element that is not about SASL does not
 * end it: a client may register first (XEP-0077). */
static void note_login(struct stream *stream)
{
	const struct xml_item *item = &stream->item;
	bool is_sasl = item->ns == NS_SASL || item->ns == NS_SASL2;

	if (sees_login(stream)) {
		stream->login_result = login_received(&stream->login, &stream->scan, item,
						      &stream->login_condition);
		stream->is_logged_in =
			stream->is_logged_in || stream->login_result == LOGIN_SUCCEEDED;
	}
	if (is_sasl && sv_eq(item->name, SV("success"))) {
		stream->has_succeeded = stream->has_succeeded || item->ns == NS_SASL;
		stream->features_are_due = item->ns == NS_SASL2;
		buffer_deinit(&stream->features);
	} else if (!is_sasl && stream->is_logged_in) {
		buffer_deinit(&stream->features);
	}
}

static int on_element(struct stream *stream, enum stream_event_kind *ret_kind)
{
	const struct xml_item *item = &stream->item;

	if (item->ns == NS_STREAMS && sv_eq(item->name, SV("error"))) {
		*ret_kind = on_error(stream);
		return 0;
	}
	if (stream->state == STREAM_STATE_PROCEED) {
		*ret_kind = on_proceed(stream);
		return 0;
	}
	if (item->ns == NS_STREAMS && sv_eq(item->name, SV("features"))) {
		return on_features(stream, ret_kind);
	}
	if (stream->state != STREAM_STATE_OPEN) {
		*ret_kind = fail(stream, FAILURE_STREAM_MALFORMED, "no features");
		return 0;
	}
	note_login(stream);
	stream->is_managed = stream->is_managed || is_management(item);
	*ret_kind = STREAM_EVENT_ELEMENT;
	return 0;
}

/* Returns the next event of a repetition, which comes before all others. */
static bool repeat_event(struct stream *stream, enum stream_event_kind *ret_kind)
{
	stream->is_repeating = stream_repeats(stream);
	if (!stream->is_repeating) {
		return false;
	}
	*ret_kind = stream->again;
	stream->again = stream->again == STREAM_EVENT_HEADER && stream->has_offered &&
					!stream->features_are_due
			      ? STREAM_EVENT_FEATURES
			      : STREAM_EVENT_NONE;
	return true;
}

size_t stream_held(const struct stream *stream)
{
	return xml_scan_held(&stream->scan) + stream->features.size;
}

int stream_next(struct stream *stream, enum stream_event_kind *ret_kind)
{
	int r = 0;

	*ret_kind = STREAM_EVENT_NONE;
	stream->login_result = LOGIN_NONE;
	if (repeat_event(stream, ret_kind)) {
		return 0;
	}
	while (r == 0 && *ret_kind == STREAM_EVENT_NONE && stream->has_input) {
		if (!takes_input(stream)) {
			return 0;
		}
		if (!xml_scan_next(&stream->scan, &stream->item, &r)) {
			stream->has_input = false;
			if (r < 0) {
				return over(stream, r);
			}
			r = r ? r : stream->feed_result;
			if (r > 0) {
				*ret_kind = fail_scan(stream, r);
			}
			return 0;
		}
		r = 0;
		switch (stream->item.kind) {
		case XML_ITEM_ROOT:
			r = on_header(stream, ret_kind);
			break;
		case XML_ITEM_ELEMENT:
			r = on_element(stream, ret_kind);
			break;
		case XML_ITEM_ROOT_END:
			fail(stream, FAILURE_STREAM_CLOSED, NULL);
			*ret_kind = STREAM_EVENT_CLOSED;
			break;
		}
	}
	return r;
}

bool stream_event_is_repeated(const struct stream *stream)
{
	return stream->is_repeating;
}

bool stream_event_is_stream(const struct stream *stream)
{
	return stream->is_repeating || stream->item.ns == NS_STREAMS;
}
