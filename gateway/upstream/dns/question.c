/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dns/question.h"

#include <arpa/nameser.h>

#include "common/address.h"
#include "common/random.h"

#ifndef HAVE_ARES_DNSREC
enum {
	/* The AD bit in the header of a message (RFC 6840, 5.7). */
	AD_OFFSET = 3,
	AD_BIT = 0x20,
};
#endif

static enum resolver_result result_of(int status)
{
	switch (status) {
	case ARES_SUCCESS:
		return RESOLVER_OK;
	case ARES_ENOTFOUND:
	case ARES_ENODATA:
	case ARES_EBADNAME: /* too long with its prefix: such a name cannot exist */
		return RESOLVER_NO_NAME;
	case ARES_ETIMEOUT:
		return RESOLVER_TIMEOUT;
	default:
		return RESOLVER_FAILED;
	}
}

static void question_end(struct question *question, int status)
{
	struct dns_reply *reply;
	int r = dns_reply_new(question->kind, result_of(status), 0, NULL, 0, &reply);

	question->answered(question, r < 0 ? NULL : reply);
}

static void question_read(struct question *question, const unsigned char *message, size_t n_message)
{
	struct dns_reply *reply;
	int r = dns_reply_read(question->kind, question->name, message, n_message, &reply);

	question->answered(question, r < 0 ? NULL : reply);
}

#ifdef HAVE_ARES_DNSREC
static void on_record(void *userdata, ares_status_t status, size_t n_timeouts,
		      const ares_dns_record_t *record)
{
	struct question *question = userdata;
	unsigned char *message;
	size_t n_message;

	(void)n_timeouts;
	if (status == ARES_SUCCESS) {
		status = ares_dns_write(record, &message, &n_message);
	}
	if (status != ARES_SUCCESS) {
		question_end(question, (int)status);
		return;
	}
	question_read(question, message, n_message);
	ares_free_string(message);
}

/* This c-ares chooses the id at random. */
static ares_status_t make_query(const struct question *question, ares_dns_record_t **ret_query)
{
	ares_dns_rec_type_t type =
		question->kind == DNS_KIND_SRV ? ARES_REC_TYPE_SRV : ARES_REC_TYPE_TLSA;
	ares_dns_record_t *query;
	ares_status_t status = ares_dns_record_create(&query, 0, ARES_FLAG_RD | ARES_FLAG_AD,
						      ARES_OPCODE_QUERY, ARES_RCODE_NOERROR);

	if (status != ARES_SUCCESS) {
		return status;
	}
	status = ares_dns_record_query_add(query, question->name, type, ARES_CLASS_IN);
	if (status != ARES_SUCCESS) {
		ares_dns_record_destroy(query);
		return status;
	}
	*ret_query = query;
	return ARES_SUCCESS;
}

static void ask_records(struct question *question, struct ares_loop *ares)
{
	ares_dns_record_t *query;
	ares_status_t status = make_query(question, &query);

	if (status != ARES_SUCCESS) {
		question_end(question, (int)status);
		return;
	}
	/* It tells on_record() if it fails. */
	(void)ares_send_dnsrec(ares_loop_channel(ares), query, on_record, question, NULL);
	ares_dns_record_destroy(query);
}
#else
static void on_message(void *userdata, int status, int n_timeouts, unsigned char *message,
		       int n_message)
{
	struct question *question = userdata;

	(void)n_timeouts;
	if (status == ARES_SUCCESS) {
		question_read(question, message, (size_t)n_message);
	} else {
		question_end(question, status);
	}
}

/* Uses an id of our own. c-ares 1.18 makes its ids with RC4 from a weak seed, and guessing the id
 * is half of forging an answer. */
static void ask_records(struct question *question, struct ares_loop *ares)
{
	ns_type type = question->kind == DNS_KIND_SRV ? ns_t_srv : ns_t_tlsa;
	unsigned char *message;
	unsigned short id;
	int n_message;

	if (random_bytes(&id, sizeof(id)) < 0) {
		question_end(question, ARES_ENOMEM);
		return;
	}
	int status =
		ares_create_query(question->name, ns_c_in, type, id, 1, &message, &n_message, 0);

	if (status != ARES_SUCCESS) {
		question_end(question, status);
		return;
	}
	message[AD_OFFSET] |= AD_BIT;
	ares_send(ares_loop_channel(ares), message, n_message, on_message, question);
	ares_free_string(message);
}
#endif

static uint32_t lesser_ttl(uint32_t ttl_s, int other_s)
{
	/* RFC 2181, 8: with the highest bit set, the TTL counts as 0. */
	uint32_t sane = other_s < 0 ? 0 : (uint32_t)other_s;

	return sane < ttl_s ? sane : ttl_s;
}

static int reply_of_addresses(const struct ares_addrinfo *info, struct dns_reply **ret_reply)
{
	struct address addresses[RESOLVER_ADDRESSES_MAX];
	uint32_t ttl_s = INT32_MAX;
	size_t n = 0;

	for (const struct ares_addrinfo_cname *alias = info->cnames; alias; alias = alias->next) {
		ttl_s = lesser_ttl(ttl_s, alias->ttl);
	}
	for (const struct ares_addrinfo_node *node = info->nodes;
	     node && n < RESOLVER_ADDRESSES_MAX; node = node->ai_next) {
		ttl_s = lesser_ttl(ttl_s, node->ai_ttl);
		if (address_from_sockaddr(node->ai_addr, &addresses[n]) == 0) {
			n++;
		}
	}
	return dns_reply_new(DNS_KIND_ADDRESSES, n ? RESOLVER_OK : RESOLVER_NO_NAME, ttl_s,
			     addresses, n, ret_reply);
}

static void on_addresses(void *userdata, int status, int n_timeouts, struct ares_addrinfo *info)
{
	struct question *question = userdata;
	struct dns_reply *reply;

	(void)n_timeouts;
	if (status == ARES_SUCCESS) {
		int r = reply_of_addresses(info, &reply);

		question->answered(question, r < 0 ? NULL : reply);
	} else {
		question_end(question, status);
	}
	if (info) {
		ares_freeaddrinfo(info);
	}
}

/* An address needs no lookup. c-ares 1.18 would ask the DNS for IPv4 addresses. */
static bool reply_literal(struct question *question)
{
	struct address address;
	struct dns_reply *reply;

	if (address_parse(sv_from(question->name), 0, &address) < 0) {
		return false;
	}
	int r = dns_reply_new(DNS_KIND_ADDRESSES, RESOLVER_OK, 0, &address, 1, &reply);

	question->answered(question, r < 0 ? NULL : reply);
	return true;
}

static void ask_addresses(struct question *question, struct ares_loop *ares)
{
	static const struct ares_addrinfo_hints hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
	};

	if (!reply_literal(question)) {
		ares_getaddrinfo(ares_loop_channel(ares), question->name, NULL, &hints,
				 on_addresses, question);
	}
}

bool question_is_below(const char *name, const char *label)
{
	const char *dot = strrchr(name, '.');

	return sv_eq_nocase(sv_from(dot ? dot + 1 : name), sv_from(label));
}

void question_ask(struct question *question, struct ares_loop *ares)
{
	/* RFC 7686, 2: such names must not be sent to the DNS. c-ares 1.34 sends them when it is
	 * asked for records. */
	if (question_is_below(question->name, "onion")) {
		question_end(question, ARES_ENOTFOUND);
		return;
	}
	if (question->kind == DNS_KIND_ADDRESSES) {
		ask_addresses(question, ares);
	} else {
		ask_records(question, ares);
	}
	ares_loop_arm(ares);
}
