/* SPDX-License-Identifier: MIT */
/*
 * gateway/tls-controls.h, with a clock that the input moves. Four bytes tell of each message: its
 * type, its first byte, its direction, and the minutes before it. Only controls count; so many are
 * allowed at any speed, and never more than the rate gives back in the time that has passed.
 *
 * covers: gateway/tls-controls.c
 */
#include "tests/fuzz/fuzz.h"

#include <time.h>

#include "gateway/tls-controls.h"

typedef void message_callback(int is_written, int version, int type, const void *data, size_t n,
			      SSL *ssl, void *userdata);

static message_callback *callback;
static void *callback_userdata;
static int64_t now_s;

/* These stand for OpenSSL's, which need a connection, and for the C library's. */

static void keep_callback(SSL *ssl, message_callback *cb)
{
	(void)ssl;
	callback = cb;
}

static void keep_userdata(SSL *ssl, void *userdata)
{
	(void)ssl;
	callback_userdata = userdata;
}

static void tell_time(clockid_t clock, struct timespec *ret_time)
{
	FUZZ_CHECK(clock == CLOCK_MONOTONIC_COARSE);
	*ret_time = (struct timespec){.tv_sec = now_s};
}

#undef SSL_set_msg_callback_arg
#define SSL_set_msg_callback keep_callback
#define SSL_set_msg_callback_arg keep_userdata
#define clock_gettime tell_time
#include "gateway/tls-controls.c"

static bool counts(bool is_written, int type, struct sv message)
{
	static const char received[] = {SSL3_MT_KEY_UPDATE, SSL3_MT_NEWSESSION_TICKET,
					SSL3_MT_HELLO_REQUEST};

	return is_written ? type == SSL3_RT_ALERT
			  : type == SSL3_RT_HANDSHAKE && message.n &&
				    memchr(received, message.data[0], sizeof(received));
}

void fuzz_one(struct sv input)
{
	static const int types[] = {SSL3_RT_HANDSHAKE, SSL3_RT_ALERT, SSL3_RT_APPLICATION_DATA,
				    SSL3_RT_HEADER};
	static struct tls_controls controls;
	int64_t start_s = now_s = 1000;
	int64_t n = 0;
	bool were_too_many = false;

	controls = (struct tls_controls){0};
	tls_controls_watch(&controls, NULL);
	FUZZ_CHECK(callback && callback_userdata == &controls);
	while (input.n) {
		int type = types[fuzz_byte(&input) % ARRAY_LENGTH(types)];
		char *first = fuzz_copy(sv_first(input, 1));
		struct sv message = {first, input.n ? 1 : 0};

		(void)fuzz_byte(&input);
		bool is_written = fuzz_byte(&input) & 1;

		now_s += (int64_t)fuzz_byte(&input) * 60;
		callback(is_written, TLS1_3_VERSION, type, message.data, message.n, NULL,
			 callback_userdata);
		n += counts(is_written, type, message);
		bool are_too_many = tls_controls_are_too_many(&controls);
		int64_t n_back = (now_s - start_s) * TLS_CONTROLS_MAX / TLS_CONTROLS_S;

		FUZZ_CHECK(!are_too_many || n > TLS_CONTROLS_MAX);
		FUZZ_CHECK(are_too_many || n <= TLS_CONTROLS_MAX + n_back + 1);
		FUZZ_CHECK(!were_too_many || are_too_many);
		were_too_many = are_too_many;
		free(first);
	}
}
