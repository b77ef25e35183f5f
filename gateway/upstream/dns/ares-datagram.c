/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dns/ares-datagram.h"

#include <errno.h>
#include <stdbool.h>

#include "gateway/upstream/dns/answers.h"

/* c-ares 1.34 takes a malformed datagram for a broken connection: every question that was sent on
 * it would lose a try. Older versions ignore such a datagram. */
static bool is_readable(const void *message, size_t n)
{
#ifdef HAVE_ARES_DNSREC
	ares_dns_record_t *record;

	if (ares_dns_parse(message, n, 0, &record) != ARES_SUCCESS) {
		return false;
	}
	ares_dns_record_destroy(record);
#else
	(void)message;
	(void)n;
#endif
	return true;
}

ares_ssize_t ares_datagram_receive(int fd, void *data, size_t size, int flags,
				   struct sockaddr *from, ares_socklen_t *n_from)
{
	for (;;) {
		ares_socklen_t n_address = n_from ? *n_from : 0;
		ares_ssize_t n = recvfrom(fd, data, size, flags, from, n_from ? &n_address : NULL);

		if (n < 0 && errno == EINTR) {
			continue;
		}
		size_t n_cut = n > 0 ? dns_answers_cut(data, (size_t)n) : 0;

		/* A malformed message is left for c-ares to judge. */
		n = n_cut ? (ares_ssize_t)n_cut : n;
		if (n < 0 || is_readable(data, (size_t)n)) {
			if (n_from) {
				*n_from = n_address;
			}
			return n;
		}
	}
}

static ares_ssize_t write_all(int fd, const struct iovec *parts, int n_parts)
{
	ares_ssize_t n;

	do {
		n = writev(fd, parts, n_parts);
	} while (n < 0 && errno == EINTR);
	return n;
}

ares_ssize_t ares_datagram_send(int fd, const struct iovec *parts, int n_parts)
{
	ares_ssize_t n = write_all(fd, parts, n_parts);

	return n < 0 && errno == ECONNREFUSED ? write_all(fd, parts, n_parts) : n;
}
