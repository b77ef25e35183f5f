/* SPDX-License-Identifier: MIT */
#include "gateway/process/notify.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "common/sv.h"

/* Of NOTIFY_SOCKET, kept when the variable is gone. */
static struct sockaddr_un manager;
static socklen_t n_manager;

/* "@name" is in the abstract namespace. Returns whether there is a service manager. */
static bool find_manager(void)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t n = path ? strlen(path) : 0;

	if (n_manager) {
		return true;
	}
	if (n < 2 || n >= sizeof(manager.sun_path) || (path[0] != '/' && path[0] != '@')) {
		return false;
	}
	manager.sun_family = AF_UNIX;
	memcpy(manager.sun_path, path, n);
	if (path[0] == '@') {
		manager.sun_path[0] = '\0';
	}
	n_manager = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	return true;
}

int notify_send(const char *state)
{
	if (!find_manager()) {
		return 0;
	}
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		return -errno;
	}
	ssize_t n = sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
			   (const struct sockaddr *)&manager, n_manager);
	int r = n < 0 ? -errno : 0;

	close(fd);
	return r;
}

int notify_reloading(void)
{
	struct timespec now;
	char state[64];

	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(state, sizeof(state), "RELOADING=1\nMONOTONIC_USEC=%lld",
		 (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
	return notify_send(state);
}

/* A variable that holds a number of at most @max. Returns false if it is not set. */
static bool read_number(const char *variable, uint64_t max, uint64_t *ret_number)
{
	const char *text = getenv(variable);

	return text && sv_to_u64(sv_from(text), max, ret_number) == 0;
}

/* Whether @variable, which says for whom the others are, is absent or names this process. */
static bool is_for_us(const char *variable)
{
	uint64_t pid;

	return !getenv(variable) ||
	       (read_number(variable, INT32_MAX, &pid) && (pid_t)pid == getpid());
}

int64_t notify_watchdog_ms(void)
{
	uint64_t us;

	if (!is_for_us("WATCHDOG_PID") || !read_number("WATCHDOG_USEC", INT64_MAX, &us)) {
		return 0;
	}
	return us && us < 2000 ? 1 : (int64_t)(us / 2 / 1000);
}

int notify_sockets(size_t *ret_n)
{
	uint64_t n = 0;

	if (getenv("LISTEN_PID") && is_for_us("LISTEN_PID") &&
	    read_number("LISTEN_FDS", INT_MAX, &n) && n > NOTIFY_SOCKETS_MAX) {
		return -E2BIG;
	}
	*ret_n = (size_t)n;
	return 0;
}

void notify_socket_name(size_t index, size_t n_max, char *ret_name)
{
	const char *names = getenv("LISTEN_FDNAMES");
	struct sv rest = sv_from(names);
	struct sv name = SV_EMPTY;

	for (size_t i = 0; i <= index; i++) {
		if (!sv_split(&rest, ':', &name)) {
			name = SV_EMPTY;
			break;
		}
	}
	name = sv_first(name, n_max - 1);
	if (name.n) {
		memcpy(ret_name, name.data, name.n);
	}
	ret_name[name.n] = '\0';
}

void notify_forget(void)
{
	static const char *const variables[] = {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC",
						"LISTEN_PID",    "LISTEN_FDS",   "LISTEN_FDNAMES"};

	(void)find_manager();
	for (size_t i = 0; i < ARRAY_LENGTH(variables); i++) {
		unsetenv(variables[i]);
	}
}
