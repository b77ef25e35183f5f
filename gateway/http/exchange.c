/* SPDX-License-Identifier: MIT */
#include "gateway/http/exchange-state.h"

#include "gateway/http/coder.h"

void http_exchange_answer(struct http_exchange *exchange, const struct http_answer *answer)
{
	if (exchange->answered) {
		blob_unref(answer->body);
		return;
	}
	exchange->answered = true;
	exchange->status = answer->status;
	exchange->ops->answer(exchange, answer);
}

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

int http_exchange_detach(struct http_exchange *exchange, struct wire **ret_wire)
{
	return exchange->ops->detach(exchange, ret_wire);
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

struct sv http_exchange_header(const struct http_exchange *exchange, const char *name)
{
	return exchange->ops->header(exchange, name);
}

struct sv http_exchange_header_list(const struct http_exchange *exchange, const char *name,
				    struct buffer *joined)
{
	return exchange->ops->header_list(exchange, name, joined);
}

bool http_exchange_is_secure(const struct http_exchange *exchange)
{
	return exchange->secure;
}

const struct address *http_exchange_peer(const struct http_exchange *exchange)
{
	return exchange->ops->peer(exchange);
}

void http_exchange_set_userdata(struct http_exchange *exchange, void *userdata)
{
	exchange->userdata = userdata;
}

void *http_exchange_userdata(const struct http_exchange *exchange)
{
	return exchange->userdata;
}
