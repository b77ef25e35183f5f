/* SPDX-License-Identifier: MIT */
#define LOG_AREA LOG_AREA_ADMIN
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/wake.h"
#include "gateway/ops/admin-state.h"

enum {
	/* The samples must not be late by more. */
	TICK_MS = 1000,
};

/* How much of a core each worker has used since the last sample. */
static void measure_loads(struct admin *admin, struct mono now)
{
	int64_t ms = mono_diff_ms(now, admin->cpu_at);

	for (unsigned i = 0; i < admin->options.metrics->n_cells; i++) {
		int64_t cpu_us = metrics_read(&admin->options.metrics->cells[i].cpu_us);
		int64_t used_us = cpu_us - admin->cpu_us[i];

		admin->workers[i].load = ms > 0 ? (double)used_us / 1e3 / (double)ms : -1;
		admin->cpu_us[i] = cpu_us;
	}
	admin->cpu_at = now;
}

static void *run(void *argument)
{
	struct admin *admin = argument;
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(admin->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	struct pollfd fds[] = {
		{.fd = info->epoll_fd, .events = POLLIN},
		{.fd = admin->wake, .events = POLLIN},
	};

	while (fds[1].revents == 0) {
		(void)poll(fds, ARRAY_LENGTH(fds), admin_wait_ms(admin, TICK_MS));
		struct mono now = clock_now();

		if (samples_tick(&admin->samples, admin->options.metrics, now)) {
			measure_loads(admin, now);
		}
		MHD_run(admin->daemon);
	}
	admin_drain(admin);
	return NULL;
}

static int start_daemon(struct admin *admin)
{
	admin->daemon = MHD_start_daemon(
		MHD_USE_EPOLL, 0, NULL, NULL, admin_on_request, admin, MHD_OPTION_LISTEN_SOCKET,
		admin->socket.fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)ADMIN_CONNECTIONS_MAX,
		MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)ADMIN_TIMEOUT_S,
		MHD_OPTION_NOTIFY_CONNECTION, admin_on_connection, admin,
		MHD_OPTION_NOTIFY_COMPLETED, admin_on_request_over, admin, MHD_OPTION_END);
	return admin->daemon ? 0 : -ENOMEM;
}

static int allocate(struct admin *admin)
{
	unsigned n = admin->options.metrics->n_cells;

	admin->place = strdup(admin->options.place);
	admin->workers = calloc(n, sizeof(*admin->workers));
	admin->cpu_us = calloc(n, sizeof(*admin->cpu_us));
	if (!admin->place || !admin->workers || !admin->cpu_us) {
		return -ENOMEM;
	}
	for (unsigned i = 0; i < n; i++) {
		admin->workers[i].load = -1;
	}
	admin->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return admin->wake < 0 ? -errno : 0;
}

static int start(struct admin *admin)
{
	int r = allocate(admin);

	if (r == 0) {
		r = admin_socket_open(admin->place, &admin->socket);
	}
	if (r == 0) {
		r = start_daemon(admin);
	}
	return r < 0 ? r : -pthread_create(&admin->thread, NULL, run, admin);
}

static void deinit(struct admin *admin)
{
	admin_stop(admin);
	admin_socket_close(&admin->socket);
	process_facts_deinit(&admin->facts);
	if (admin->wake >= 0) {
		close(admin->wake);
	}
	pthread_mutex_destroy(&admin->mutex);
	free(admin->cpu_us);
	free(admin->workers);
	free(admin->place);
	free(admin);
}

static bool is_loopback(const struct address *address)
{
	enum { LOOPBACK_NET = 127 };

	return address->any.sa_family == AF_INET6
		     ? IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr)
		     : ntohl(address->v4.sin_addr.s_addr) >> 24 == LOOPBACK_NET;
}

static void log_listening(const char *place)
{
	struct address address;

	log_info("admin-listening", LOG_STR("address", place));
	if (address_parse(sv_from(place), 0, &address) == 0 && !is_loopback(&address)) {
		log_warning("admin-exposed", LOG_STR("address", place),
			    LOG_STR("hint", "there are no passwords: let only the operator's "
					    "machines reach it"));
	}
}

int admin_new(const struct admin_options *options, struct admin **ret_admin)
{
	struct admin *admin = calloc(1, sizeof(*admin));

	if (!admin) {
		return -ENOMEM;
	}
	admin->options = *options;
	admin->socket.fd = -1;
	admin->wake = -1;
	admin->started = clock_now();
	admin->cpu_at = admin->started;
	pthread_mutex_init(&admin->mutex, NULL); /* with glibc it cannot fail */
	process_facts_init(&admin->facts);
	int r = start(admin);

	if (r < 0) {
		log_error("admin-failed", LOG_STR("address", options->place),
			  LOG_STR("error", strerror(-r)));
		deinit(admin);
		return r;
	}
	log_listening(options->place);
	*ret_admin = admin;
	return 0;
}

void admin_retire(struct admin *admin)
{
	if (admin) {
		wake_send(admin->wake);
	}
}

struct admin *admin_free(struct admin *admin)
{
	if (admin) {
		admin_retire(admin);
		pthread_join(admin->thread, NULL);
		deinit(admin);
	}
	return NULL;
}

void admin_set_config(struct admin *admin, const struct config *config)
{
	if (!admin) {
		return;
	}
	pthread_mutex_lock(&admin->mutex);
	admin->options.config = config;
	pthread_mutex_unlock(&admin->mutex);
}
