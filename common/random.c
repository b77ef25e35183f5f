/* SPDX-License-Identifier: MIT */
#include "common/random.h"

#include <errno.h>
#include <sys/random.h>
#include <sys/types.h>

int random_bytes(void *data, size_t n)
{
	char *at = data;

	while (n) {
		ssize_t r = getrandom(at, n, 0);

		if (r < 0) {
			if (errno == EINTR) {
				continue;
			}
			return -errno;
		}
		at += r;
		n -= (size_t)r;
	}
	return 0;
}

int random_name(char *text, size_t n)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	int r = random_bytes(text, n);

	if (r < 0) {
		return r;
	}
	for (size_t i = 0; i < n; i++) {
		text[i] = digits[(unsigned char)text[i] & 63];
	}
	text[n] = '\0';
	return 0;
}
