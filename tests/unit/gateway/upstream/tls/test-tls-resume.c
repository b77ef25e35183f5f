/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <time.h>

#include "gateway/upstream/tls/pin.h"
#include "gateway/upstream/tls/verify.h"
#include "tests/unit/gateway/upstream/tls-case.h"

static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
static struct identity authority, identity;
static char authority_file[TRUST_PATH_SIZE];
static struct tls_store *store;
static struct tls_policy policy;

/* The clock of the program, of OpenSSL and of these tests is this much ahead of the real one. */
static time_t n_ahead_s;

time_t time(time_t *ret_time)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	now.tv_sec += n_ahead_s;
	if (ret_time) {
		*ret_time = now.tv_sec;
	}
	return now.tv_sec;
}

static bool is_resumed(const struct tls_policy *of, SSL_CTX *server)
{
	struct outcome outcome = visit(store, of, server);

	if (!outcome.is_open) {
		fail_msg("%s: %s", failure_name(outcome.failure.kind), outcome.failure.detail);
	}
	return outcome.is_resumed;
}

static void test_resumed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(versions); i++) {
		SSL_CTX *server = server_new(&identity, NULL, versions[i]);

		policy.domain = i ? "a.test" : "b.test";
		assert_false(is_resumed(&policy, server));
		for (int n = 0; n < 5; n++) {
			assert_true(is_resumed(&policy, server));
		}
		/* ALPN makes no difference. */
		policy.is_direct = true;
		assert_true(is_resumed(&policy, server));
		SSL_CTX_free(server);
	}
}

/* TLS 1.2 without tickets: the server remembers. */
static void test_resumed_by_id(void **state)
{
	SSL_CTX *server = server_new(&identity, NULL, TLS1_2_VERSION);

	(void)state;
	SSL_CTX_set_options(server, SSL_OP_NO_TICKET);
	assert_false(is_resumed(&policy, server));
	assert_true(is_resumed(&policy, server));
	assert_true(is_resumed(&policy, server));
	SSL_CTX_free(server);
}

static SSL_TICKET_RETURN keep_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
				     size_t n_name, SSL_TICKET_STATUS status, void *userdata)
{
	(void)ssl;
	(void)session;
	(void)name;
	(void)n_name;
	(void)userdata;
	return status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW
		     ? SSL_TICKET_RETURN_USE
		     : SSL_TICKET_RETURN_IGNORE_RENEW;
}

/* Some servers send tickets only at full handshakes, so a ticket is used more than once. */
static void test_ticket_used_again(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(versions); i++) {
		SSL_CTX *server = server_new(&identity, NULL, versions[i]);

		SSL_CTX_set_session_ticket_cb(server, NULL, keep_ticket, NULL);
		policy.domain = i ? "a.test" : "b.test";
		assert_false(is_resumed(&policy, server));
		for (int n = 0; n < 5; n++) {
			assert_true(is_resumed(&policy, server));
		}
		SSL_CTX_free(server);
	}
}

static void test_server_that_forgets(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(versions); i++) {
		SSL_CTX *server = server_new(&identity, NULL, versions[i]);
		SSL_CTX *other = server_new(&identity, NULL, versions[i]);

		assert_int_equal(SSL_CTX_sess_number(server), 0);
		policy.domain = i ? "a.test" : "b.test";
		assert_false(is_resumed(&policy, server));
		/* Each rejects the other's tickets. */
		assert_false(is_resumed(&policy, other));
		assert_false(is_resumed(&policy, server));
		assert_true(is_resumed(&policy, server));
		/* No tickets at all. */
		SSL_CTX_set_options(other, SSL_OP_NO_TICKET);
		SSL_CTX_set_session_cache_mode(other, SSL_SESS_CACHE_OFF);
		SSL_CTX_set_num_tickets(other, 0);
		policy.domain = "c.test";
		assert_false(is_resumed(&policy, other));
		assert_false(is_resumed(&policy, other));
		SSL_CTX_free(server);
		SSL_CTX_free(other);
	}
}

static struct tlsa_set tlsa_of_key(void)
{
	struct tlsa_set set = {.n_records = 1, .records[0] = {3, 1, 1, PIN_SIZE, {0}}};
	struct pin pin;

	assert_int_equal(pin_of(identity.certificate, &pin), 0);
	memcpy(set.records[0].data, pin.sha256, PIN_SIZE);
	return set;
}

/* Each row is a different policy: sessions that were verified under another are not resumed. */
static void test_each_trust_by_itself(void **state)
{
	struct tlsa_set one = tlsa_of_key(), two = one, turned, unusable = one;
	struct pin pins[2] = {{{1}}, {{2}}};
	char same_file[TRUST_PATH_SIZE];

	(void)state;
	assert_int_equal(pin_of(identity.certificate, &pins[0]), 0);
	trust_file(&authority, same_file);
	two.n_records = 2;
	two.records[1] = (struct tlsa_record){3, 1, 1, PIN_SIZE, {7}};
	turned = two;
	turned.records[0] = two.records[1];
	turned.records[1] = two.records[0];
	unusable.records[0].matching = 9;

	const struct tls_policy rows[] = {
		{.domain = "a.test"},
		{.domain = "b.test"},
		{.domain = "a.test", .must_verify = true, .ca_file = authority_file},
		{.domain = "b.test", .must_verify = true, .ca_file = authority_file},
		{.domain = "a.test", .must_verify = true, .ca_file = same_file},
		{.domain = "a.test",
		 .must_verify = true,
		 .ca_file = authority_file,
		 .pins = pins,
		 .n_pins = 1},
		{.domain = "a.test",
		 .must_verify = true,
		 .ca_file = authority_file,
		 .pins = pins,
		 .n_pins = 2},
		{.domain = "a.test",
		 .must_verify = true,
		 .ca_file = authority_file,
		 .host = "h.test",
		 .tlsa = &one},
		{.domain = "a.test",
		 .must_verify = true,
		 .ca_file = authority_file,
		 .host = "i.test",
		 .tlsa = &one},
		{.domain = "a.test",
		 .must_verify = true,
		 .ca_file = authority_file,
		 .host = "h.test",
		 .tlsa = &two},
		{.domain = "a.test", .must_verify = true, .host = "h.test", .tlsa = &one},
	};
	SSL_CTX *server = server_new(&identity, NULL, 0);

	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		if (is_resumed(&rows[i], server)) {
			fail_msg("row %zu was resumed", i);
		}
	}
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		assert_true(is_resumed(&rows[i], server));
	}
	/* The DNS gives records in any order. */
	struct tls_policy same = rows[9];

	same.tlsa = &turned;
	assert_true(is_resumed(&same, server));
	/* Unusable records are ignored. */
	same.tlsa = &unusable;
	same.host = "j.test";
	assert_true(is_resumed(&same, server));
	unlink(same_file);
	SSL_CTX_free(server);
}

/* The main point: an unverified session must not be used for a connection that verifies. */
static void test_unverified_stays_so(void **state)
{
	struct identity bad =
		identity_new(&(struct identity_spec){.name = "x", .names = "DNS:a.test"});
	SSL_CTX *server = server_new(&bad, NULL, 0);
	struct outcome outcome;

	(void)state;
	policy.must_verify = false;
	assert_false(is_resumed(&policy, server));
	assert_true(is_resumed(&policy, server));
	policy.must_verify = true;
	outcome = visit(store, &policy, server);
	assert_false(outcome.is_open);
	assert_int_equal(outcome.failure.kind, FAILURE_CERTIFICATE_SELF_SIGNED);
	outcome = visit(store, &policy, server);
	assert_false(outcome.is_open);
	SSL_CTX_free(server);
	identity_free(&bad);
}

/* A server that asks for client certificates without an id context: OpenSSL treats resuming as an
 * error. */
static void test_server_that_stumbles(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(versions); i++) {
		SSL_CTX *server = server_new(&identity, NULL, versions[i]);
		struct outcome outcome;

		SSL_CTX_set_session_id_context(server, NULL, 0);
		SSL_CTX_set_verify(server, SSL_VERIFY_PEER, NULL);
		policy.domain = i ? "a.test" : "b.test";
		assert_false(is_resumed(&policy, server));
		outcome = visit(store, &policy, server);
		assert_false(outcome.is_open);
		assert_int_equal(outcome.failure.kind, FAILURE_TLS_HANDSHAKE);
		/* Only one connection fails. */
		for (int n = 0; n < 4; n++) {
			assert_false(is_resumed(&policy, server));
		}
		SSL_CTX_free(server);
	}
}

/* If the certificate was refused, the server did not resume the session, so its sessions are not to
 * blame. */
static void test_certificate_bars_nothing(void **state)
{
	struct identity other = identity_new(&(struct identity_spec){
		.name = "x", .names = "DNS:other.test", .issuer = &authority});
	SSL_CTX *good = server_new(&identity, NULL, 0), *bad = server_new(&other, NULL, 0);

	(void)state;
	assert_false(is_resumed(&policy, good));
	assert_int_equal(visit(store, &policy, bad).failure.kind, FAILURE_CERTIFICATE_NAME);
	assert_false(is_resumed(&policy, good));
	assert_true(is_resumed(&policy, good));
	SSL_CTX_free(good);
	SSL_CTX_free(bad);
	identity_free(&other);
}

/* A session whose handshake did not complete is not offered again. */
static void test_hang_forgets(void **state)
{
	SSL_CTX *server = server_new(&identity, NULL, 0);
	SSL *client;

	(void)state;
	assert_false(is_resumed(&policy, server));
	/* The handshake is given up before it fails. */
	assert_int_equal(tls_connection_new(store, &policy, &client), 0);
	SSL_set_bio(client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	assert_int_not_equal(SSL_do_handshake(client), 1);
	tls_connection_free(client);
	assert_false(is_resumed(&policy, server));
	assert_true(is_resumed(&policy, server));
	SSL_CTX_free(server);
}

/* A resumed connection gets a new ticket, but its certificate is as old as before. */
static void test_end_of_certificate(void **state)
{
	struct identity brief = identity_new(&(struct identity_spec){.name = "x",
								     .names = "DNS:a.test",
								     .issuer = &authority,
								     .from_s = -10,
								     .to_s = 60});
	SSL_CTX *server = server_new(&brief, NULL, 0);
	struct outcome outcome;

	(void)state;
	assert_false(is_resumed(&policy, server));
	n_ahead_s = 30;
	assert_true(is_resumed(&policy, server));
	n_ahead_s = 61;
	outcome = visit(store, &policy, server);
	assert_false(outcome.is_open);
	assert_int_equal(outcome.failure.kind, FAILURE_CERTIFICATE_EXPIRED);
	SSL_CTX_free(server);
	identity_free(&brief);
}

/* How long sessions may be resumed after a first connection under @of to a server that shows @shown
 * and its @issuer. */
static int64_t until(const struct tls_policy *of, const struct identity *shown,
		     const struct identity *issuer)
{
	SSL_CTX *ctx = server_new(shown, issuer, 0);
	SSL *server = SSL_new(ctx), *client;
	BIO *client_bio, *server_bio;

	assert_int_equal(tls_connection_new(store, of, &client), 0);
	assert_int_equal(BIO_new_bio_pair(&client_bio, 0, &server_bio, 0), 1);
	SSL_set_bio(client, client_bio, client_bio);
	SSL_set_bio(server, server_bio, server_bio);
	SSL_set_accept_state(server);
	assert_int_equal(shake_hands(client, server), 1);
	int64_t end = verify_until(client, time(NULL)) - time(NULL);

	SSL_free(server);
	tls_connection_free(client);
	SSL_CTX_free(ctx);
	return end;
}

static void test_until(void **state)
{
	struct identity_spec long_one = {
		.name = "x", .names = "DNS:a.test", .issuer = &authority, .to_s = 7200};
	struct identity_spec short_one = {
		.name = "x", .names = "DNS:a.test", .issuer = &authority, .to_s = 600};
	struct identity_spec issuer = {
		.name = "i", .is_authority = true, .issuer = &authority, .to_s = 300};
	struct identity shown = identity_new(&long_one), middle = identity_new(&issuer);
	struct tlsa_set tlsa = tlsa_of_key();

	(void)state;
	assert_int_equal(until(&policy, &shown, NULL), TLS_SESSION_AGE_MAX);
	identity_free(&shown);
	shown = identity_new(&short_one);
	assert_in_range(until(&policy, &shown, NULL), 590, 600);
	identity_free(&shown);
	/* All certificates of the chain must be valid. */
	long_one.issuer = &middle;
	shown = identity_new(&long_one);
	assert_in_range(until(&policy, &shown, &middle), 290, 300);
	identity_free(&shown);
	/* With DANE-EE nothing else in the certificate counts (RFC 7671, 5.1). */
	short_one.key = identity.key;
	shown = identity_new(&short_one);
	policy.host = "h.test";
	policy.tlsa = &tlsa;
	assert_int_equal(until(&policy, &shown, NULL), TLS_SESSION_AGE_MAX);
	identity_free(&shown);
	identity_free(&middle);
}

static size_t n_padding;

static int pad_ticket(SSL *ssl, void *userdata)
{
	static char padding[2 * TLS_TICKET_MAX];

	(void)userdata;
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), padding, n_padding);
}

static size_t n_ticket;

static void note_ticket(int is_write, int version, int type, const void *data, size_t n, SSL *ssl,
			void *userdata)
{
	(void)version;
	(void)data;
	(void)ssl;
	(void)userdata;
	/* Before the ticket come type, length, lifetime and the length of the ticket (RFC 5077,
	 * 3.3). */
	if (is_write && type == SSL3_RT_HANDSHAKE &&
	    *(const unsigned char *)data == SSL3_MT_NEWSESSION_TICKET) {
		n_ticket = n - 10;
	}
}

static void test_ticket_bound(void **state)
{
	SSL_CTX *server = server_new(&identity, NULL, TLS1_2_VERSION);
	size_t n_kept = 0, n_refused = 2 * TLS_TICKET_MAX;

	(void)state;
	SSL_CTX_set_session_ticket_cb(server, pad_ticket, keep_ticket, NULL);
	SSL_CTX_set_msg_callback(server, note_ticket);
	/* The size of a ticket grows by cipher blocks. */
	for (n_padding = TLS_TICKET_MAX - 512; n_padding < TLS_TICKET_MAX; n_padding += 8) {
		char domain[32];

		(void)snprintf(domain, sizeof(domain), "%zu.test", n_padding);
		policy.domain = domain;
		policy.must_verify = false;
		assert_false(is_resumed(&policy, server));
		size_t n = n_ticket;

		if (is_resumed(&policy, server)) {
			n_kept = n > n_kept ? n : n_kept;
		} else {
			n_refused = n < n_refused ? n : n_refused;
		}
	}
	assert_in_range(n_kept, TLS_TICKET_MAX - 16, TLS_TICKET_MAX);
	assert_in_range(n_refused, TLS_TICKET_MAX + 1, TLS_TICKET_MAX + 16);
	SSL_CTX_free(server);
}

static int make(void **state)
{
	(void)state;
	authority = identity_new(
		&(struct identity_spec){.name = "authority", .is_authority = true, .to_s = 86400});
	identity = identity_new(&(struct identity_spec){
		.name = "x", .names = "DNS:a.test,DNS:b.test,DNS:c.test", .issuer = &authority});
	trust_file(&authority, authority_file);
	return 0;
}

static int destroy(void **state)
{
	(void)state;
	unlink(authority_file);
	identity_free(&authority);
	identity_free(&identity);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	n_ahead_s = 0;
	policy = (struct tls_policy){
		.domain = "a.test", .ca_file = authority_file, .must_verify = true};
	return tls_store_new(&store);
}

static int teardown(void **state)
{
	(void)state;
	tls_store_free(store);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_resumed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_resumed_by_id, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ticket_used_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server_that_forgets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each_trust_by_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unverified_stays_so, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server_that_stumbles, setup, teardown),
		cmocka_unit_test_setup_teardown(test_certificate_bars_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hang_forgets, setup, teardown),
		cmocka_unit_test_setup_teardown(test_end_of_certificate, setup, teardown),
		cmocka_unit_test_setup_teardown(test_until, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ticket_bound, setup, teardown),
	};

	return cmocka_run_group_tests(tests, make, destroy);
}
