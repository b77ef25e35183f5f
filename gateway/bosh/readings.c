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

/* Makes place @i free. */
static struct bosh_reading *leave(struct bosh_readings *readings, size_t i)
{
	struct bosh_reading *reading = readings->places[i].reading;

	readings->places[i].exchange = NULL;
	readings->places[i].reading = NULL;
	readings->places[i].is_heavy = false;
	readings->n--;
	return reading;
}

/* Frees one of the heavy readings if these have more than their places. */
static void displace(struct bosh_readings *readings)
{
	size_t n_heavy = 0, i_last = 0;

	for (size_t i = 0; i < BOSH_READINGS_MAX; i++) {
		if (readings->places[i].is_heavy) {
			n_heavy++;
			i_last = i;
		}
	}
	if (n_heavy > BOSH_READINGS_HEAVY_MAX) {
		bosh_reading_free(leave(readings, i_last));
	}
}

static bool has_place(struct bosh_readings *readings, bool is_heavy)
{
	if (is_heavy) {
		return readings->n < BOSH_READINGS_HEAVY_MAX;
	}
	if (readings->n == BOSH_READINGS_MAX) {
		displace(readings);
	}
	return readings->n < BOSH_READINGS_MAX;
}

bool bosh_readings_go_on(struct bosh_readings *readings, struct xml_pool *pool,
			 const struct http_exchange *exchange, size_t n_portion)
{
	bool is_heavy = n_portion <= WIRE_PORTION_SMALL;
	size_t i = find(readings, exchange);

	if (i == BOSH_READINGS_MAX) {
		if (!has_place(readings, is_heavy)) {
			return false;
		}
		i = find(readings, NULL);
		if (bosh_reading_new(pool, readings->options, &readings->places[i].reading) < 0) {
			return true;
		}
		readings->places[i].exchange = exchange;
		readings->n++;
	}
	readings->places[i].is_heavy = is_heavy;
	return bosh_reading_go_on(readings->places[i].reading, http_exchange_body(exchange),
				  n_portion);
}

struct bosh_reading *bosh_readings_take(struct bosh_readings *readings,
					const struct http_exchange *exchange)
{
	size_t i = readings->n ? find(readings, exchange) : BOSH_READINGS_MAX;

	return i == BOSH_READINGS_MAX ? NULL : leave(readings, i);
}
