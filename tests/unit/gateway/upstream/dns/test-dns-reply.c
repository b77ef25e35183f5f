/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>

#include "gateway/upstream/dns/names.h"
#include "gateway/upstream/dns/reply.h"
#include "gateway/upstream/dns/srv.h"
#include "gateway/upstream/dns/tlsa.h"
#include "tests/unit/gateway/upstream/dns/dns-case.h"
#include "tests/unit/failmalloc.h"

static const char name[] = "_xmpp-client._tcp.a.example";
static struct dns_message message;

static void begin(unsigned flags)
{
	dns_begin(&message, DNS_RESPONSE | flags, name, DNS_SRV);
}

static void add(const char *owner, unsigned type, uint32_t ttl_s, struct dns_data data)
{
	dns_record(&message, DNS_ANSWER, owner, type, ttl_s, data);
}

/* Reads an exact copy, so that a sanitizer notices reads beyond it. */
static struct dns_reply *read_bytes(enum dns_kind kind, const unsigned char *bytes, size_t n)
{
	unsigned char *copy = test_malloc(n ? n : 1);
	struct dns_reply *reply = NULL;

	memcpy(copy, bytes, n);
	assert_int_equal(dns_reply_read(kind, name, copy, n, &reply), 0);
	test_free(copy);
	return reply;
}

static struct dns_reply *read_message(enum dns_kind kind)
{
	return read_bytes(kind, message.data, message.n);
}

static void assert_result(enum resolver_result result)
{
	struct dns_reply *reply = read_message(DNS_KIND_SRV);

	assert_int_equal(reply->result, result);
	assert_int_equal(reply->n_records, 0);
	dns_reply_unref(reply);
}

static void test_srv(void **state)
{
	(void)state;
	begin(0);
	add(name, DNS_SRV, 300, dns_srv(10, 20, 5222, "One.example"));
	add("_XMPP-client._TCP.A.Example", DNS_SRV, 200,
	    dns_srv(65535, 65534, 65533, "two.example"));
	dns_record(&message, DNS_ADDITIONAL, name, DNS_SRV, 1,
		   dns_srv(0, 0, 1, "additional.example"));
	struct dns_reply *reply = read_message(DNS_KIND_SRV);

	assert_int_equal(reply->result, RESOLVER_OK);
	assert_int_equal(reply->ttl_s, 200);
	assert_false(reply->is_authentic);
	assert_int_equal(reply->n_records, 2);
	assert_int_equal(reply->n_bytes, sizeof(*reply) + 2 * sizeof(struct srv_target));
	assert_string_equal(reply->targets[0].host, "One.example");
	assert_int_equal(reply->targets[0].priority, 10);
	assert_int_equal(reply->targets[0].weight, 20);
	assert_int_equal(reply->targets[0].port, 5222);
	assert_string_equal(reply->targets[1].host, "two.example");
	assert_int_equal(reply->targets[1].priority, 65535);
	assert_int_equal(reply->targets[1].weight, 65534);
	assert_int_equal(reply->targets[1].port, 65533);
	dns_reply_unref(reply);
}

static void test_not_offered(void **state)
{
	(void)state;
	begin(DNS_AD);
	add(name, DNS_SRV, 300, dns_srv(0, 0, 0, "."));
	struct dns_reply *reply = read_message(DNS_KIND_SRV);

	assert_int_equal(reply->result, RESOLVER_OK);
	assert_true(reply->is_authentic);
	assert_int_equal(reply->n_records, 1);
	assert_string_equal(reply->targets[0].host, "");
	dns_reply_unref(reply);
}

static void test_what_does_not_matter(void **state)
{
	struct dns_data data = dns_srv(0, 0, 1, "other.example");

	(void)state;
	begin(0);
	add("_xmpp-client._tcp.b.example", DNS_SRV, 1, data);
	add("a.example", DNS_SRV, 1, data);
	add(name, DNS_TLSA, 1, dns_tlsa(3, 1, 1, 32, 7));
	add(name, 16, 1, data);
	add(name, DNS_SRV, 1, data);
	message.data[message.n - data.n - 7] = 3; /* the class CHAOS */
	assert_result(RESOLVER_NO_NAME);
	add(name, DNS_SRV, 9, dns_srv(0, 0, 5222, "h.example"));
	struct dns_reply *reply = read_message(DNS_KIND_SRV);

	assert_int_equal(reply->n_records, 1);
	assert_int_equal(reply->ttl_s, 9);
	dns_reply_unref(reply);
}

static void assert_host_and_ttl(const char *host, uint32_t ttl_s)
{
	struct dns_reply *reply = read_message(DNS_KIND_SRV);

	assert_int_equal(reply->result, RESOLVER_OK);
	assert_int_equal(reply->n_records, 1);
	assert_string_equal(reply->targets[0].host, host);
	assert_int_equal(reply->ttl_s, ttl_s);
	dns_reply_unref(reply);
}

/* Aliases are followed in any order of records, and their TTL counts. */
static void test_aliases(void **state)
{
	(void)state;
	begin(0);
	add(name, DNS_CNAME, 50, dns_name("b.example"));
	add("b.example", DNS_CNAME, 40, dns_name("c.example"));
	add("c.example", DNS_SRV, 60, dns_srv(0, 0, 5222, "h.example"));
	assert_host_and_ttl("h.example", 40);
	begin(0);
	add("C.example", DNS_SRV, 60, dns_srv(0, 0, 5222, "h.example"));
	add("B.example", DNS_CNAME, 70, dns_name("c.EXAMPLE"));
	add(name, DNS_CNAME, 50, dns_name("b.EXAMPLE"));
	assert_host_and_ttl("h.example", 50);
}

static void test_alias_to_nothing(void **state)
{
	(void)state;
	begin(0);
	add(name, DNS_CNAME, 50, dns_name("b.example"));
	assert_result(RESOLVER_NO_NAME);
	begin(DNS_NXDOMAIN);
	add(name, DNS_CNAME, 50, dns_name("."));
	assert_result(RESOLVER_NO_NAME);
}

static void test_ring_of_aliases(void **state)
{
	(void)state;
	begin(0);
	add(name, DNS_CNAME, 50, dns_name("b.example"));
	add("b.example", DNS_CNAME, 40, dns_name(name));
	assert_result(RESOLVER_NO_NAME);
	begin(0);
	add(name, DNS_CNAME, 50, dns_name(name));
	add(name, DNS_SRV, 60, dns_srv(0, 0, 5222, "h.example"));
	assert_host_and_ttl("h.example", 50);
}

static void add_chain(int n_aliases)
{
	char from[64];
	char to[64];

	begin(0);
	for (int i = 0; i < n_aliases; i++) {
		snprintf(from, sizeof(from), "n%d.example", i);
		snprintf(to, sizeof(to), "n%d.example", i + 1);
		add(i ? from : name, DNS_CNAME, 50, dns_name(to));
	}
	add(to, DNS_SRV, 60, dns_srv(0, 0, 5222, "h.example"));
}

static void test_bound_of_aliases(void **state)
{
	(void)state;
	add_chain(DNS_REPLY_ALIASES_MAX);
	assert_host_and_ttl("h.example", 50);
	add_chain(DNS_REPLY_ALIASES_MAX + 1);
	assert_result(RESOLVER_NO_NAME);
}

static void test_bound_of_records(void **state)
{
	(void)state;
	begin(0);
	for (int i = 0; i < DNS_REPLY_RECORDS_MAX - 1; i++) {
		add("x.example", DNS_SRV, 1, dns_srv(0, 0, 1, "other.example"));
	}
	add(name, DNS_SRV, 60, dns_srv(0, 0, 5222, "last.example"));
	add(name, DNS_SRV, 60, dns_srv(0, 0, 5222, "late.example"));
	assert_host_and_ttl("last.example", 60);
}

static void test_ttl(void **state)
{
	static const struct {
		uint32_t ttl_s;
		uint32_t expected_s;
	} rows[] = {{0, 0},
		    {1, 1},
		    {INT32_MAX, INT32_MAX},
		    {(uint32_t)INT32_MAX + 1, 0},
		    {UINT32_MAX, 0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		begin(0);
		add(name, DNS_SRV, rows[i].ttl_s, dns_srv(0, 0, 5222, "h.example"));
		assert_host_and_ttl("h.example", rows[i].expected_s);
	}
}

/* RFC 2308, section 5. */
static void test_negative(void **state)
{
	static const struct {
		unsigned flags;
		uint32_t ttl_s;
		uint32_t minimum_s;
		uint32_t expected_s;
	} rows[] = {{DNS_NXDOMAIN, 600, 60, 60},
		    {0, 60, 600, 60},
		    {0, 0, 600, 0},
		    {0, 600, UINT32_MAX, 0}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		begin(rows[i].flags);
		dns_record(&message, DNS_AUTHORITY, "a.example", 2, 1, dns_name("ns.example"));
		dns_record(&message, DNS_AUTHORITY, "a.example", 2, 1, dns_name("ns2.example"));
		dns_record(&message, DNS_AUTHORITY, "a.example", DNS_SOA, rows[i].ttl_s,
			   dns_soa(rows[i].minimum_s));
		struct dns_reply *reply = read_message(DNS_KIND_SRV);

		assert_int_equal(reply->result, RESOLVER_NO_NAME);
		assert_int_equal(reply->ttl_s, rows[i].expected_s);
		dns_reply_unref(reply);
	}
	begin(DNS_NXDOMAIN);
	struct dns_reply *reply = read_message(DNS_KIND_SRV);

	assert_int_equal(reply->result, RESOLVER_NO_NAME);
	assert_int_equal(reply->ttl_s, 0);
	dns_reply_unref(reply);
}

static void test_failures(void **state)
{
	(void)state;
	for (unsigned code = 1; code < 16; code++) {
		begin(code);
		add(name, DNS_SRV, 60, dns_srv(0, 0, 5222, "h.example"));
		if (code != DNS_NXDOMAIN) {
			assert_result(RESOLVER_FAILED);
		}
	}
	/* A question, not a reply. */
	begin(0);
	add(name, DNS_SRV, 60, dns_srv(0, 0, 5222, "h.example"));
	message.data[2] &= 0x7f;
	assert_result(RESOLVER_FAILED);
}

/* There are records but no usable one: that must not look like no record. */
static void test_useless_records(void **state)
{
	struct dns_data data = dns_srv(0, 0, 5222, "h.example");

	(void)state;
	begin(0);
	add(name, DNS_SRV, 60, dns_srv(0, 0, 0, "no-port.example"));
	assert_result(RESOLVER_FAILED);
	begin(0);
	add(name, DNS_SRV, 60, dns_srv(0, 0, 5222, "two words.example"));
	assert_result(RESOLVER_FAILED);
	data.n = 6;
	begin(0);
	add(name, DNS_SRV, 60, data);
	assert_result(RESOLVER_FAILED);
	/* Octets after the host. */
	data = dns_srv(0, 0, 5222, "h.example");
	data.data[data.n++] = 0;
	begin(0);
	add(name, DNS_SRV, 60, data);
	assert_result(RESOLVER_FAILED);
	/* A host that extends beyond the message. */
	data.n = 8;
	data.data[6] = 0xff;
	data.data[7] = 0xff;
	begin(0);
	add(name, DNS_SRV, 60, data);
	assert_result(RESOLVER_FAILED);
	/* A malformed record next to a good one. */
	add(name, DNS_SRV, 60, dns_srv(0, 0, 5222, "good.example"));
	assert_host_and_ttl("good.example", 60);
}

/* A host that is a pointer to the question's name, as servers compress them. */
static void test_compression(void **state)
{
	struct dns_data data = {
		.n = 11, .data = {0, 1, 0, 2, 0x14, 0x66, 2, 'h', '1', 0xc0, DNS_HEADER + 18}};

	(void)state;
	begin(0);
	add(name, DNS_SRV, 60, data);
	assert_host_and_ttl("h1.a.example", 60);
	/* A host that points to itself. */
	data.n = 8;
	dns_put(data.data + 6, 2, 0xc000 | (uint32_t)(message.n - 5));
	begin(0);
	add(name, DNS_SRV, 60, data);
	assert_result(RESOLVER_FAILED);
}

/* Adds a record whose data is "h1" and @n pointers behind it, each to the one before. Returns where
 * the last one is. */
static size_t add_pointers(size_t n)
{
	size_t at = message.n + dns_put_name((unsigned char[16]){0}, "x.example") + 10;
	struct dns_data data = {.n = 4, .data = {2, 'h', '1', 0}};
	size_t last = at;

	for (; n > 0; n--) {
		dns_put(data.data + data.n, 2, 0xc000 | (uint32_t)last);
		last = at + data.n;
		data.n += 2;
	}
	add("x.example", 16, 60, data);
	return last;
}

/* A name of @n pointers, in the data of a record or as its owner. */
static void assert_pointers(size_t n, bool is_owner, enum resolver_result result)
{
	begin(0);
	struct dns_data data = {.n = 8, .data = {0, 1, 0, 2, 0x14, 0x66}};
	size_t last = add_pointers(n - 1);

	dns_put(data.data + 6, 2, 0xc000 | (uint32_t)last);
	add(name, DNS_SRV, 60, is_owner ? dns_srv(1, 2, 5222, "h1") : data);
	if (is_owner) {
		/* Its name is the pointer, not the root. */
		add("", 16, 60, (struct dns_data){0});
		memmove(message.data + message.n - 9, message.data + message.n - 10, 10);
		dns_put(message.data + message.n - 11, 2, 0xc000 | (uint32_t)last);
		message.n++;
	}
	struct dns_reply *reply = read_message(DNS_KIND_SRV);

	assert_int_equal(reply->result, result);
	assert_true(result != RESOLVER_OK || strcmp(reply->targets[0].host, "h1") == 0);
	dns_reply_unref(reply);
}

static void test_bound_of_pointers(void **state)
{
	(void)state;
	assert_pointers(DNS_NAME_POINTERS_MAX, false, RESOLVER_OK);
	assert_pointers(DNS_NAME_POINTERS_MAX, true, RESOLVER_OK);
	assert_pointers(DNS_NAME_POINTERS_MAX + 1, false, RESOLVER_FAILED);
	assert_pointers(DNS_NAME_POINTERS_MAX + 1, true, RESOLVER_FAILED);
	/* A ring has no end. */
	begin(0);
	add(name, DNS_SRV, 60, dns_srv(1, 2, 5222, ""));
	dns_put(message.data + message.n - 1, 2, 0xc000 | (uint32_t)(message.n - 1));
	message.data[message.n - 8] = 8;
	message.n++;
	assert_result(RESOLVER_FAILED);
}

static void test_tlsa(void **state)
{
	(void)state;
	dns_begin(&message, DNS_RESPONSE | DNS_AD, name, DNS_TLSA);
	add(name, DNS_TLSA, 100, dns_tlsa(3, 1, 1, 32, 0xab));
	add(name, DNS_SRV, 1, dns_srv(0, 0, 5222, "h.example"));
	add(name, DNS_TLSA, 90, dns_tlsa(255, 254, 253, TLSA_DATA_MAX, 0xcd));
	add(name, DNS_TLSA, 90, dns_tlsa(0, 0, 0, TLSA_DATA_MAX + 1, 0xcd));
	add(name, DNS_TLSA, 90, dns_tlsa(0, 0, 0, 0, 0));
	struct dns_reply *reply = read_message(DNS_KIND_TLSA);

	assert_int_equal(reply->result, RESOLVER_OK);
	assert_true(reply->is_authentic);
	assert_int_equal(reply->ttl_s, 90);
	assert_int_equal(reply->n_records, 2);
	assert_int_equal(reply->tlsa[0].usage, 3);
	assert_int_equal(reply->tlsa[0].selector, 1);
	assert_int_equal(reply->tlsa[0].matching, 1);
	assert_int_equal(reply->tlsa[0].n_data, 32);
	assert_int_equal(reply->tlsa[0].data[31], 0xab);
	assert_int_equal(reply->tlsa[1].usage, 255);
	assert_int_equal(reply->tlsa[1].selector, 254);
	assert_int_equal(reply->tlsa[1].matching, 253);
	assert_int_equal(reply->tlsa[1].n_data, TLSA_DATA_MAX);
	assert_int_equal(reply->tlsa[1].data[TLSA_DATA_MAX - 1], 0xcd);
	dns_reply_unref(reply);
}

static void test_bound_of_tlsa(void **state)
{
	(void)state;
	dns_begin(&message, DNS_RESPONSE, name, DNS_TLSA);
	for (unsigned i = 0; i <= TLSA_RECORDS_MAX; i++) {
		add(name, DNS_TLSA, 90, dns_tlsa(i, 1, 1, 32, 1));
	}
	struct dns_reply *reply = read_message(DNS_KIND_TLSA);

	assert_int_equal(reply->n_records, TLSA_RECORDS_MAX);
	assert_int_equal(reply->tlsa[TLSA_RECORDS_MAX - 1].usage, TLSA_RECORDS_MAX - 1);
	dns_reply_unref(reply);
	dns_begin(&message, DNS_RESPONSE, name, DNS_TLSA);
	add(name, DNS_TLSA, 90, dns_tlsa(0, 0, 0, TLSA_DATA_MAX + 1, 1));
	reply = read_message(DNS_KIND_TLSA);
	assert_int_equal(reply->result, RESOLVER_NO_NAME);
	assert_int_equal(reply->ttl_s, 90);
	dns_reply_unref(reply);
}

static void begin_rich(void)
{
	begin(0);
	add(name, DNS_CNAME, 50, dns_name("b.example"));
	add("b.example", DNS_SRV, 60, dns_srv(1, 2, 5222, "h1.example"));
	add("b.example", DNS_SRV, 60, dns_srv(1, 2, 5223, "h2.example"));
	dns_record(&message, DNS_AUTHORITY, "example", DNS_SOA, 10, dns_soa(10));
}

/* A truncated message is malformed wherever it is cut: its header counts more records. */
static void test_cut(void **state)
{
	(void)state;
	begin_rich();
	for (size_t n = 0; n < message.n; n++) {
		struct dns_reply *reply = read_bytes(DNS_KIND_SRV, message.data, n);

		assert_int_equal(reply->result, RESOLVER_FAILED);
		dns_reply_unref(reply);
	}
}

/* Any octet set to any value must give some reply and do no harm. */
static void test_garbage(void **state)
{
	(void)state;
	begin_rich();
	for (size_t i = 0; i < message.n; i++) {
		unsigned char kept = message.data[i];

		for (unsigned octet = 0; octet < 256; octet++) {
			message.data[i] = (unsigned char)octet;
			struct dns_reply *reply = read_message(DNS_KIND_SRV);

			assert_true(reply->n_records <= 2);
			assert_true((reply->result == RESOLVER_OK) == (reply->n_records > 0));
			dns_reply_unref(reply);
			dns_reply_unref(read_message(DNS_KIND_TLSA));
		}
		message.data[i] = kept;
	}
}

static void test_references(void **state)
{
	struct dns_reply *reply;

	(void)state;
	begin(DNS_NXDOMAIN);
	reply = read_message(DNS_KIND_SRV);
	assert_ptr_equal(dns_reply_ref(reply), reply);
	assert_null(dns_reply_unref(reply));
	assert_int_equal(reply->result, RESOLVER_NO_NAME);
	assert_null(dns_reply_unref(reply));
	assert_null(dns_reply_unref(NULL));
}

static int scenario(void *userdata)
{
	struct dns_reply *reply;
	int r = dns_reply_read(DNS_KIND_SRV, name, message.data, message.n, &reply);

	(void)userdata;
	if (r == 0) {
		dns_reply_unref(reply);
	}
	return r;
}

static void test_no_memory(void **state)
{
	(void)state;
	begin_rich();
	failmalloc_each(scenario, NULL, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_srv),
		cmocka_unit_test(test_not_offered),
		cmocka_unit_test(test_what_does_not_matter),
		cmocka_unit_test(test_aliases),
		cmocka_unit_test(test_alias_to_nothing),
		cmocka_unit_test(test_ring_of_aliases),
		cmocka_unit_test(test_bound_of_aliases),
		cmocka_unit_test(test_bound_of_records),
		cmocka_unit_test(test_ttl),
		cmocka_unit_test(test_negative),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_useless_records),
		cmocka_unit_test(test_compression),
		cmocka_unit_test(test_bound_of_pointers),
		cmocka_unit_test(test_tlsa),
		cmocka_unit_test(test_bound_of_tlsa),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
