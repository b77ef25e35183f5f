/* SPDX-License-Identifier: MIT */
#include "gateway/bosh/readings.h"

#include "gateway/bosh/body.h"
#include "gateway/http/exchange.h"
#include "gateway/wire/wire.h"

void bosh_readings_init(struct bosh_readings *readings, const struct xml_scan_options *options)
{
	*readings = (struct bosh_readings){.options = options};
}

void bosh_readings_deinit(struct bosh_readings *readings)
{
	for (size_t i = 0; i < BOSH_READINGS_MAX; i++) {
		bosh_reading_free(readings->places[i].reading);
	}
}

/* The place of @exchange; of NULL, one that is free. Returns BOSH_READINGS_MAX if there is none. */
static size_t find(const struct bosh_readings *readings, const struct http_exchange *exchange)
{
	size_t i = 0;

	while (i < BOSH_READINGS_MAX && readings->places[i].exchange != exchange) {
		i++;
	}
	return i;
}

bool bosh_readings_go_on(struct bosh_readings *readings, struct xml_pool *pool,
			 const struct http_exchange *exchange, size_t n_portion)
{
	bool is_heavy = n_portion <= WIRE_PORTION_SMALL;
	size_t i = find(readings, exchange);

	if (i == BOSH_READINGS_MAX) {
		if (readings->n >= (is_heavy ? BOSH_READINGS_HEAVY_MAX : BOSH_READINGS_MAX)) {
			return false;
		}
		i = find(readings, NULL);
		if (bosh_reading_new(pool, readings->options, &readings->places[i].reading) < 0) {
			return true;
		}
		readings->places[i].exchange = exchange;
		readings->n++;
	}
	return bosh_reading_go_on(readings->places[i].reading, http_exchange_body(exchange),
				  n_portion);
}

struct bosh_reading *bosh_readings_take(struct bosh_readings *readings,
					const struct http_exchange *exchange)
{
	size_t i = readings->n ? find(readings, exchange) : BOSH_READINGS_MAX;

	if (i == BOSH_READINGS_MAX) {
		return NULL;
	}
	struct bosh_reading *reading = readings->places[i].reading;

	readings->places[i].exchange = NULL;
	readings->places[i].reading = NULL;
	readings->n--;
	return reading;
}
