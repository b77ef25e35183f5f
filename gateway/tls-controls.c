/* SPDX-License-Identifier: MIT */
#include "gateway/tls-controls.h"

#include <time.h>

static struct mono now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &time);
	return (struct mono){(int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000};
}

static bool is_control(bool is_written, int type, const unsigned char *bytes, size_t n)
{
	if (is_written) {
		return type == SSL3_RT_ALERT;
	}
	if (type != SSL3_RT_HANDSHAKE || n == 0) {
		return false;
	}
	switch (bytes[0]) {
	case SSL3_MT_KEY_UPDATE:
	case SSL3_MT_NEWSESSION_TICKET:
	case SSL3_MT_HELLO_REQUEST:
		return true;
	default:
		return false;
	}
}

static void count(struct tls_controls *controls, size_t n)
{
	const struct bucket_rate rate = {TLS_CONTROLS_MAX, TLS_CONTROLS_S};

	for (size_t at = 0; at < n && !controls->are_too_many; at += TLS_CONTROL_BYTES) {
		controls->are_too_many = !bucket_take(&controls->bucket, rate, now());
	}
}

static void on_message(int is_written, int version, int type, const void *data, size_t n, SSL *ssl,
		       void *userdata)
{
	struct tls_controls *controls = userdata;

	(void)version;
	(void)ssl;
	if (type == SSL3_RT_HEADER) {
		controls->n_records += !is_written;
		return;
	}
	if (is_control(is_written, type, data, n)) {
		controls->n_records += TLS_CONTROL_RECORDS;
		count(controls, n);
	}
}

void tls_controls_watch(struct tls_controls *controls, SSL *ssl)
{
	SSL_set_msg_callback(ssl, on_message);
	SSL_set_msg_callback_arg(ssl, controls);
}
