/* SPDX-License-Identifier: MIT */
#include "gateway/worker-update.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct worker_update *worker_update_free(struct worker_update *update)
{
	if (update) {
		snapshot_unref(update->snapshot);
		for (size_t i = 0; i < update->n_sockets; i++) {
			close(update->sockets[i].fd);
		}
		free(update->sockets);
		free(update);
	}
	return NULL;
}

/* Duplicates the worker's share of the sockets. */
static int take_share(const struct listening *listening, unsigned index, unsigned n_workers,
		      struct worker_update *update)
{
	for (size_t i = 0; i < listening->n_addresses; i++) {
		const struct listening_address *address = &listening->addresses[i];
		size_t n = listening_share(address, index, n_workers);
		struct acceptor_socket *sockets =
			reallocarray(update->sockets, update->n_sockets + n, sizeof(*sockets));

		if (!sockets) {
			return -ENOMEM;
		}
		update->sockets = sockets;
		for (size_t j = 0; j < n; j++) {
			int fd = fcntl(listening_fd(address, index, n_workers, j), F_DUPFD_CLOEXEC,
				       0);

			if (fd < 0) {
				return -errno;
			}
			sockets[update->n_sockets++] =
				(struct acceptor_socket){.fd = fd, .listener = address->listener};
		}
	}
	return 0;
}

int worker_update_new(struct snapshot *snapshot, const struct listening *listening, unsigned index,
		      unsigned n_workers, struct worker_update **ret_update)
{
	struct worker_update *update = calloc(1, sizeof(*update));

	if (!update) {
		return -ENOMEM;
	}
	update->snapshot = snapshot_ref(snapshot);
	int r = take_share(listening, index, n_workers, update);

	if (r < 0) {
		worker_update_free(update);
		return r;
	}
	*ret_update = update;
	return 0;
}
