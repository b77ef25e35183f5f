/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dns/answers.h"

#include <arpa/nameser.h>
#include <resolv.h>
#include <string.h>

enum {
	/* The numbers of questions, of records of the answer and of the other two sections. */
	QUESTIONS_AT = 4,
	ANSWERS_AT = 6,
	OTHERS_AT = 8,
};

/* Behind the name at @at and @n_fixed octets; NULL if the message ends before. */
static const unsigned char *skip(const unsigned char *at, const unsigned char *end, size_t n_fixed)
{
	int n_name = dn_skipname(at, end);

	return n_name < 0 || (size_t)(end - at) < (size_t)n_name + n_fixed ? NULL
									   : at + n_name + n_fixed;
}

static const unsigned char *skip_record(const unsigned char *at, const unsigned char *end)
{
	const unsigned char *data = skip(at, end, NS_RRFIXEDSZ);
	size_t n_data = data ? ns_get16(data - NS_INT16SZ) : 0;

	return data && (size_t)(end - data) >= n_data ? data + n_data : NULL;
}

size_t dns_answers_cut(unsigned char *message, size_t n)
{
	const unsigned char *at = message + NS_HFIXEDSZ, *end = message + n;

	if (n < NS_HFIXEDSZ || ns_get16(message + ANSWERS_AT) <= DNS_ANSWERS_MAX) {
		return n;
	}
	for (unsigned i = ns_get16(message + QUESTIONS_AT); at && i > 0; i--) {
		at = skip(at, end, NS_QFIXEDSZ);
	}
	for (unsigned i = DNS_ANSWERS_MAX; at && i > 0; i--) {
		at = skip_record(at, end);
	}
	if (!at) {
		return 0;
	}
	ns_put16(DNS_ANSWERS_MAX, message + ANSWERS_AT);
	memset(message + OTHERS_AT, 0, NS_HFIXEDSZ - OTHERS_AT);
	return (size_t)(at - message);
}
