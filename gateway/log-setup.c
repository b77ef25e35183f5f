/* SPDX-License-Identifier: MIT */
#include "gateway/log-setup.h"

void log_setup_levels(const struct config *config)
{
	for (size_t i = 0; i < LOG_AREA_COUNT; i++) {
		log_set_area_level((enum log_area)i, config->log_levels[i]);
	}
}

int log_setup_start(const struct config *config)
{
	log_setup_levels(config);
	return log_start(&(struct log_options){
		.place = config->log_place,
		.path = config->log_path,
		.format = config->log_format,
	});
}
