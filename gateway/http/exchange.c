/* SPDX-License-Identifier: MIT */
#include "gateway/http/exchange-state.h"

#include "gateway/http/coder.h"

enum coding http_exchange_choose_coding(const struct http_exchange *exchange, size_t n)
{
	return exchange->options->limits.coder ? coding_choose(&exchange->wishes, n)
					       : CODING_IDENTITY;
}

int http_exchange_encode(struct http_exchange *exchange, enum coding coding, struct sv plain,
			 struct blob **ret_coded)
{
	return coder_encode(exchange->options->limits.coder, coding, plain, ret_coded);
}

struct sv http_exchange_method(const struct http_exchange *exchange)
{
	return exchange->method;
}

unsigned http_exchange_status(const struct http_exchange *exchange)
{
	return exchange->status;
}

struct sv http_exchange_path(const struct http_exchange *exchange)
{
	return exchange->path;
}

struct sv http_exchange_body(const struct http_exchange *exchange)
{
	return exchange->body;
}

bool http_exchange_body_too_large(const struct http_exchange *exchange)
{
	return exchange->too_large;
}

bool http_exchange_is_coded_otherwise(const struct http_exchange *exchange)
{
	return exchange->coding == CODING_UNKNOWN;
}

bool http_exchange_is_secure(const struct http_exchange *exchange)
{
	return exchange->secure;
}

void http_exchange_set_userdata(struct http_exchange *exchange, void *userdata)
{
	exchange->userdata = userdata;
}

void *http_exchange_userdata(const struct http_exchange *exchange)
{
	return exchange->userdata;
}
