/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/check.h"

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fuzz/reader-model.h"

void client_send(struct client *client)
{
	struct sv due =
		sv_first(sv_skip(client->stream, client->n_sent), client->n_due - client->n_sent);

	if (client->fd >= 0 && due.n) {
		ssize_t n = send(client->fd, due.data, due.n, MSG_NOSIGNAL | MSG_DONTWAIT);

		client->n_sent += n > 0 ? (size_t)n : 0;
	}
}

bool client_read(struct client *client, size_t n)
{
	size_t n_before = client->heard.n;

	while (client->fd >= 0 && n && !client->has_heard_end) {
		static char bytes[1 << 16];
		ssize_t n_read = recv(client->fd, bytes, n < sizeof(bytes) ? n : sizeof(bytes),
				      MSG_DONTWAIT);

		client->has_heard_end = n_read == 0;
		if (n_read <= 0) {
			break;
		}
		assert_int_equal(buffer_append(&client->heard, bytes, (size_t)n_read), 0);
		n -= (size_t)n_read;
	}
	return client->heard.n > n_before;
}

void client_hang_up(struct client *client)
{
	if (client->fd >= 0) {
		close(client->fd);
		client->fd = -1;
		client->is_lossy = client->is_over = true;
	}
}

/* Takes the value of @name out of a head. Data is NULL if it has no such header. */
static struct sv value_of(struct sv head, const char *name)
{
	size_t at = sv_find_sv(head, sv_from(name));
	struct sv rest = sv_skip(head, at + strlen(name));

	return at < head.n ? sv_first(rest, sv_find(rest, '\r')) : SV_EMPTY;
}

/* Takes a 100 (Continue) that @heard begins with. */
static bool is_interim(const struct client *client, size_t number, struct sv *heard)
{
	static const struct sv text = SV_INIT("HTTP/1.1 100 Continue\r\n\r\n");
	const struct truth_request *truth = &client->truth.requests[number];

	if (!sv_starts_with(*heard, text)) {
		return false;
	}
	FUZZ_CHECK(number < client->truth.n && truth->head.expects_continue);
	*heard = sv_skip(*heard, text.n);
	/* No more than one, unless the owner has said it, too. */
	FUZZ_CHECK(client->n_told > number || !sv_starts_with(*heard, text));
	return true;
}

static void check_head(const struct record *record, struct sv head)
{
	char line[32];

	(void)snprintf(line, sizeof(line), "HTTP/1.1 %u ", record->status);
	FUZZ_CHECK(sv_starts_with(head, sv_from(line)));
	FUZZ_CHECK(!record->closes || sv_eq(value_of(head, "\r\nConnection: "), SV("close")));
	if (record->status == 204 || record->status == 304) {
		FUZZ_CHECK(!value_of(head, "\r\nContent-Length: ").data);
	} else {
		(void)snprintf(line, sizeof(line), "%zu", record->n_body);
		FUZZ_CHECK(sv_eq(value_of(head, "\r\nContent-Length: "), sv_from(line)));
	}
}

static bool is_head_request(const struct record *record)
{
	const struct truth_request *truth = record->truth;

	return truth && sv_eq(http_span_sv(truth->head.method, truth->bytes), SV("HEAD"));
}

/* Takes the answer to the request @number. Returns false if it is not there, or not whole. */
static bool take_answer(const struct client *client, size_t number, struct sv *heard,
			bool *ret_closes)
{
	const struct record *record = &client->records[number];
	size_t n = sv_find_sv(*heard, SV("\r\n\r\n"));
	char letter = (char)('A' + number % 26);

	*ret_closes = false;
	if (n == heard->n) {
		return false;
	}
	FUZZ_CHECK(number < client->n_records && record->status && !record->is_detached);
	struct sv head = sv_first(*heard, n + 2);
	struct sv rest = sv_skip(*heard, n + 4);
	size_t n_body = is_head_request(record) ? 0 : record->n_body;
	struct sv body = sv_first(rest, n_body);

	check_head(record, head);
	for (size_t i = 0; i < body.n; i++) {
		FUZZ_CHECK(body.data[i] == letter);
	}
	*ret_closes = value_of(head, "\r\nConnection: ").data != NULL;
	*heard = sv_skip(rest, n_body);
	return body.n == n_body;
}

/* The answers whose turn has come. */
static size_t count_due(const struct client *client)
{
	size_t n = 0;

	while (n < client->n_records && client->records[n].status) {
		n++;
	}
	return n;
}

void client_check(const struct client *client)
{
	struct sv heard = buffer_sv(&client->heard);
	bool closes = false, is_whole = true;
	size_t n = 0;

	while (heard.n && is_whole) {
		FUZZ_CHECK(!closes);
		if (is_interim(client, n, &heard)) {
			continue;
		}
		is_whole = take_answer(client, n, &heard, &closes);
		n += is_whole;
	}
	if (client->is_lossy || client->world->n_ticks >= WIRE_DRAIN_S) {
		return;
	}
	FUZZ_CHECK(is_whole);
	FUZZ_CHECK(n == count_due(client) || closes);
	FUZZ_CHECK(!closes || client->has_heard_end);
}
