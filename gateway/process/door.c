/* SPDX-License-Identifier: MIT */
#include "gateway/process/door.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "gateway/process/control.h"

struct doors {
	pthread_mutex_t mutex; /* guards the descriptors, so that none is closed while it is used */
	_Atomic uint64_t present;
	int fds[CONTROL_GENERATIONS];
};

int doors_new(struct doors **ret_doors)
{
	struct doors *doors = calloc(1, sizeof(*doors));
	int r = doors ? -pthread_mutex_init(&doors->mutex, NULL) : -ENOMEM;

	if (r < 0) {
		free(doors);
		return r;
	}
	*ret_doors = doors;
	return 0;
}

void doors_remove(struct doors *doors, unsigned generation)
{
	if (generation < CONTROL_GENERATIONS && doors_have(doors, generation)) {
		pthread_mutex_lock(&doors->mutex);
		atomic_fetch_and(&doors->present, ~control_bit(generation));
		close(doors->fds[generation]);
		pthread_mutex_unlock(&doors->mutex);
	}
}

struct doors *doors_free(struct doors *doors)
{
	if (doors) {
		for (unsigned i = 0; i < CONTROL_GENERATIONS; i++) {
			doors_remove(doors, i);
		}
		pthread_mutex_destroy(&doors->mutex);
		free(doors);
	}
	return NULL;
}

void doors_add(struct doors *doors, unsigned generation, int fd)
{
	if (generation >= CONTROL_GENERATIONS) {
		close(fd);
		return;
	}
	doors_remove(doors, generation);
	pthread_mutex_lock(&doors->mutex);
	doors->fds[generation] = fd;
	atomic_fetch_or(&doors->present, control_bit(generation));
	pthread_mutex_unlock(&doors->mutex);
}

bool doors_have(const struct doors *doors, unsigned generation)
{
	return atomic_load_explicit(&doors->present, memory_order_relaxed) &
	       control_bit(generation);
}

bool doors_exist(const struct doors *doors)
{
	return atomic_load_explicit(&doors->present, memory_order_relaxed);
}

static bool is_writable(int fd)
{
	struct pollfd door = {.fd = fd, .events = POLLOUT};

	return poll(&door, 1, 0) > 0;
}

enum door_result doors_ask(struct doors *doors, unsigned generation)
{
	enum door_result result = DOOR_E_NONE;

	if (!doors_have(doors, generation)) {
		return DOOR_E_NONE;
	}
	pthread_mutex_lock(&doors->mutex);
	if (doors_have(doors, generation)) {
		result = is_writable(doors->fds[generation]) ? DOOR_OPEN : DOOR_E_FULL;
	}
	pthread_mutex_unlock(&doors->mutex);
	return result;
}

/* Anything but the end of the server may pass: the kernel is out of memory, say, or has too many
 * descriptors under way. */
static enum door_result result_of(int r)
{
	if (r == 0) {
		return DOOR_OPEN;
	}
	return r == -ENOENT || r == -EPIPE || r == -ECONNRESET ? DOOR_E_NONE : DOOR_E_FULL;
}

enum door_result doors_pass(struct doors *doors, unsigned generation, unsigned worker, int fd,
			    const struct wire_peer *peer)
{
	const struct control_message message = {
		.kind = CONTROL_CONNECTION,
		.n = worker,
		.address = peer->address,
		.is_secure = peer->is_secure,
		.idle_s = peer->idle_s,
	};
	int r = -ENOENT;

	pthread_mutex_lock(&doors->mutex);
	if (doors_have(doors, generation)) {
		r = control_send(doors->fds[generation], &message, &fd, 1);
	}
	pthread_mutex_unlock(&doors->mutex);
	return result_of(r);
}
