/* SPDX-License-Identifier: MIT */
#include "tests/bench/load-state.h"

#include <inttypes.h>

#include "tests/bench/check.h"

enum {
	MASK = 0x5a, /* not 0, which would make unmasking trivial */
};

void send_request(struct session *session, const char *attributes, const char *payload)
{
	struct connection *connection = connection_take(session);
	char body[HEAD_SIZE], head[HEAD_SIZE];
	int n_body = snprintf(body, sizeof(body),
			      "<body xmlns='http://jabber.org/protocol/httpbind' rid='%" PRIu64
			      "'%s%s%s%s>",
			      session->rid++, session->sid[0] ? " sid='" : "", session->sid,
			      session->sid[0] ? "'" : "", attributes);
	size_t n_payload = strlen(payload);
	int n_head = snprintf(head, sizeof(head),
			      "POST /http-bind HTTP/1.1\r\nHost: bench.test\r\nContent-Type: "
			      "text/xml; charset=utf-8\r\nContent-Length: %zu\r\n\r\n",
			      (size_t)n_body + n_payload + sizeof("</body>") - 1);
	struct bytes *scratch = &session->load->scratch;

	scratch->n = 0;
	bytes_add(scratch, head, (size_t)n_head);
	bytes_add(scratch, body, (size_t)n_body);
	bytes_add(scratch, payload, n_payload);
	bytes_add(scratch, "</body>", sizeof("</body>") - 1);
	flow_send(&connection->flow, scratch->data, scratch->n);
}

void send_frame(struct session *session, const char *text)
{
	size_t n = strlen(text), n_more = n < FRAME_LENGTH_16 ? 0 : n <= UINT16_MAX ? 2 : 8;
	struct bytes *scratch = &session->load->scratch;
	unsigned char head[14] = {0x81};
	size_t code = n_more == 0 ? n : n_more == 2 ? FRAME_LENGTH_16 : FRAME_LENGTH_64;

	head[1] = (unsigned char)(0x80 | code);
	for (size_t i = 0; i < n_more; i++) {
		head[2 + i] = (unsigned char)(n >> 8 * (n_more - 1 - i));
	}
	memset(head + 2 + n_more, MASK, 4);
	scratch->n = 0;
	bytes_add(scratch, head, 2 + n_more + 4);
	bytes_add(scratch, text, n);
	for (size_t i = scratch->n - n; i < scratch->n; i++) {
		scratch->data[i] ^= MASK;
	}
	flow_send(&session->own[0].flow, scratch->data, scratch->n);
}

void send_stanza(struct session *session)
{
	struct load *load = session->load;
	char *text = session->text ? session->text : load->text;
	char number[16];

	snprintf(number, sizeof(number), "%08" PRIx32, ++session->number);
	memcpy(strstr(text, " id='") + 5, number, 8);
	load->n_under_way++;
	session->sent_ns = clock_ns(CLOCK_MONOTONIC);
	switch (load->options.kind) {
	case LOAD_ECHO:
		flow_send(&session->own[0].flow, text, strlen(text));
		break;
	case LOAD_WEBSOCKET:
	case LOAD_BLIND:
		send_frame(session, text);
		break;
	default:
		send_request(session, "", text);
		break;
	}
}

char *stanza_new(const char *to, size_t n)
{
	static const char words[] = "Two rivers meet below the town, and flow on as one. ";
	struct bytes text = {0};
	char head[HEAD_SIZE];
	int n_head = snprintf(head, sizeof(head),
			      "<message xmlns='jabber:client' to='%s' type='chat' "
			      "id='00000000'><body>",
			      to);

	check(n_head > 0 && (size_t)n_head < sizeof(head), to);
	bytes_add(&text, head, (size_t)n_head);
	while (n > 0) {
		size_t n_part = n < sizeof(words) - 1 ? n : sizeof(words) - 1;

		bytes_add(&text, words, n_part);
		n -= n_part;
	}
	bytes_add(&text, "</body></message>", sizeof("</body></message>"));
	return text.data;
}
