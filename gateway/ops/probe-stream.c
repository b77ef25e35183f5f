/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "gateway/ops/probe-state.h"
#include "gateway/xmpp/namespace.h"

enum {
	LIST_MAX = 2048,
};

/* Observer of the link. */

static bool is_in_clear(const struct probe *probe, const struct stream *stream)
{
	return !stream->is_secure && domain_rule_tls(probe->rule) != DOMAIN_TLS_OFF;
}

static void on_header(void *userdata, const struct stream *stream)
{
	struct probe *probe = userdata;
	struct sheet_times times = probe_next_times(probe);
	struct sv from = sv_from(stream->from);
	char ascii[DOMAIN_MAX + 1];

	if (is_in_clear(probe, stream)) {
		probe_section(probe, PROBE_SECTION_CLEAR, "Stream, in clear");
		probe->awaited = "STARTTLS";
	} else {
		probe_section(probe, PROBE_SECTION_STREAM, "Stream");
		probe->awaited = "features";
	}
	/* Prefer ASCII, which is shown without escapes. */
	if (domain_to_ascii(from, ascii) == 0) {
		from = sv_from(ascii);
	}
	sheet_line(&probe->sheet, "header", SHEET_PLAIN, &times, "%s%.*s, %s%s%s%s",
		   from.n ? "from " : "no from", SV_ARGS(from), stream->id ? "id " : "no id",
		   stream->id ? stream->id : "", stream->lang ? ", language " : "",
		   stream->lang ? stream->lang : "");
	probe_flush(probe);
}

static void on_handshake(void *userdata, bool is_direct)
{
	struct probe *probe = userdata;

	if (is_direct) {
		return;
	}
	struct sheet_times times = probe_next_times(probe);

	probe->awaited = "handshake";
	sheet_line(&probe->sheet, "STARTTLS", SHEET_GOOD, &times, "offered and started");
	probe_flush(probe);
}

static void on_secured(void *userdata, const char *domain, SSL *ssl, const struct failure *failure)
{
	struct probe *probe = userdata;

	(void)domain;
	probe_show_tls(probe, ssl, failure);
	probe_flush(probe);
}

static void on_redirected(void *userdata, const struct redirect *redirect)
{
	struct probe *probe = userdata;
	struct sheet_times times = probe_next_times(probe);
	char text[ADDRESS_TEXT_MAX];

	if (!redirect->host[0]) {
		sheet_line(&probe->sheet, "see-other-host", SHEET_WARNING, &times,
			   "the server redirects its clients to %s",
			   redirect->port ? address_format(&redirect->address, text)
					  : address_format_host(&redirect->address, text));
	} else if (redirect->port) {
		sheet_line(&probe->sheet, "see-other-host", SHEET_WARNING, &times,
			   "the server redirects its clients to %s:%u", redirect->host,
			   redirect->port);
	} else {
		sheet_line(&probe->sheet, "see-other-host", SHEET_WARNING, &times,
			   "the server redirects its clients to %s", redirect->host);
	}
	probe_forget_server(probe);
	probe->is_redirected = true;
	probe->is_retry = false;
	probe->starttls = PROBE_SERVICE_UNKNOWN;
	probe->direct = PROBE_SERVICE_UNKNOWN;
	probe_flush(probe);
}

void probe_show_end(struct probe *probe, const struct failure *failure)
{
	if (!probe->awaited) {
		return;
	}
	struct sheet_times times = probe_next_times(probe);

	if (strcmp(probe->awaited, "handshake") == 0) {
		probe_section(probe, PROBE_SECTION_TLS, "TLS");
	} else if (probe->section == PROBE_SECTION_DIAL) {
		probe_section(probe, PROBE_SECTION_STREAM, "Stream");
	}
	probe_show_failure(probe, probe->awaited, &times, failure);
	probe->awaited = NULL;
}

static void on_slow(void *userdata)
{
	struct probe *probe = userdata;
	struct sheet_times times = probe_times(probe, probe->step_us);

	if (probe->awaited) {
		sheet_line(&probe->sheet, probe->awaited, SHEET_WARNING, &times,
			   "no answer yet, looking for another server meanwhile");
	}
	probe_note_trouble(probe, probe->connected, failure_sentence(FAILURE_STREAM_TIMEOUT));
	probe->section = PROBE_SECTION_NONE;
	probe->is_retry = true;
	probe->is_dialling = true;
	probe->is_slow = true;
	probe_flush(probe);
}

static void on_left(void *userdata, const struct failure *failure)
{
	struct probe *probe = userdata;

	probe_show_end(probe, failure);
	probe_note_trouble(probe, probe->connected, failure_sentence(failure->kind));
	probe_forget_server(probe);
	probe->is_retry = true;
	probe_flush(probe);
}

void probe_observe_stream(struct probe *probe)
{
	probe->link_observer = (struct link_observer){
		.header = on_header,
		.handshake = on_handshake,
		.secured = on_secured,
		.redirected = on_redirected,
		.slow = on_slow,
		.left = on_left,
		.userdata = probe,
	};
}

/* Callbacks of the link. */

static void on_link_header(void *userdata)
{
	(void)userdata;
}

/* Joins the names. */
static void join(const struct features_list *list, char text[static LIST_MAX])
{
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < list->n && n < LIST_MAX; i++) {
		n += (size_t)snprintf(text + n, LIST_MAX - n, "%s%s", i ? ", " : "",
				      list->names[i]);
	}
	if (list->n_more && n < LIST_MAX) {
		(void)snprintf(text + n, LIST_MAX - n, ", and %zu more", list->n_more);
	}
}

static void show_list(struct probe *probe, const char *label, const struct features_list *list)
{
	char text[LIST_MAX];

	if (list->n) {
		join(list, text);
		sheet_line(&probe->sheet, label, SHEET_PLAIN, NULL, "%s", text);
	}
}

static void show_features(struct probe *probe)
{
	struct probe_facts *facts = &probe->facts;
	_cleanup_(buffer_deinit) struct buffer xml = BUFFER_INIT;
	struct sheet_times times = probe_next_times(probe);

	facts->has_features = true;
	probe->awaited = NULL;
	facts->is_readable = stream_event_write(link_stream(probe->link), &xml) == 0 &&
			     features_read(buffer_sv(&xml), &facts->features) == 0;
	if (probe->section != PROBE_SECTION_CLEAR) {
		probe_section(probe, PROBE_SECTION_STREAM, "Stream");
	}
	sheet_line(&probe->sheet, "features", facts->is_readable ? SHEET_GOOD : SHEET_BAD, &times,
		   "%zu bytes%s", xml.n, facts->is_readable ? "" : ", which cannot be read");
	show_list(probe, "SASL", &facts->features.sasl);
	show_list(probe, "SASL2", &facts->features.sasl2);
	show_list(probe, "also offered", &facts->features.others);
}

/* Shows a stream error with the server's text, if it has one. */
static void show_error(struct probe *probe)
{
	const struct stream *stream = link_stream(probe->link);
	struct sheet_times times = probe_next_times(probe);
	struct sv words = SV("");

	probe->awaited = NULL;
	for (size_t i = 0; i < stream->item.n_children; i++) {
		struct xml_child child = xml_item_child(&stream->scan, &stream->item, i);

		if (child.ns == NS_STREAM_ERRORS && sv_eq(child.name, SV("text"))) {
			words = features_inner(child.text);
		}
	}
	sheet_line(&probe->sheet, "stream error", SHEET_BAD, &times, "%s%s%.*s",
		   stream->failure.detail, words.n ? ": " : "", SV_ARGS(words));
}

static void on_element(void *userdata, enum stream_event_kind kind)
{
	struct probe *probe = userdata;

	if (probe->is_over) {
		return;
	}
	switch (kind) {
	case STREAM_EVENT_FEATURES:
		show_features(probe);
		probe->is_over = true;
		break;
	case STREAM_EVENT_ERROR:
		show_error(probe);
		break;
	default:
		break;
	}
	probe_flush(probe);
}

/* Runs after the header and the features. A server without a version sends no features (RFC 6120,
 * 4.7.5). */
static void on_flush(void *userdata)
{
	struct probe *probe = userdata;

	if (!probe->is_over && link_stream(probe->link)->state == STREAM_STATE_OPEN) {
		sheet_line(&probe->sheet, "features", SHEET_WARNING, NULL,
			   "none: the server is older than XMPP 1.0");
		probe->is_over = true;
	}
}

static void on_drained(void *userdata)
{
	(void)userdata;
}

static void on_held(void *userdata)
{
	(void)userdata;
}

static void on_over(void *userdata, const struct failure *failure)
{
	struct probe *probe = userdata;

	if (!probe->is_over) {
		probe->failure = *failure;
		probe->is_over = true;
	}
}

const struct link_callbacks probe_link_callbacks = {
	.header = on_link_header,
	.element = on_element,
	.flush = on_flush,
	.drained = on_drained,
	.held = on_held,
	.over = on_over,
};
