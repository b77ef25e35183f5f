/* SPDX-License-Identifier: MIT */
#include "gateway/listener/listening.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"

size_t listening_share(const struct listening_address *address, unsigned index, unsigned n_workers)
{
	size_t n = address->n_fds / n_workers + (index < address->n_fds % n_workers);

	return n == 0 && address->n_fds ? 1 : n;
}

int listening_fd(const struct listening_address *address, unsigned index, unsigned n_workers,
		 size_t i)
{
	return address->fds[(index + i * n_workers) % address->n_fds];
}

void listening_log(const struct listening *listening)
{
	for (size_t i = 0; i < listening->n_addresses; i++) {
		log_info("listening", LOG_STR("address", listening->addresses[i].name));
	}
}

void listening_deinit(struct listening *listening)
{
	for (size_t i = 0; i < listening->n_addresses; i++) {
		struct listening_address *address = &listening->addresses[i];

		for (size_t j = 0; j < address->n_fds; j++) {
			close(address->fds[j]);
		}
		free(address->fds);
	}
	free(listening->addresses);
	*listening = (struct listening){0};
}
