/* SPDX-License-Identifier: MIT */
#include "gateway/process/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "gateway/bind.h"

/* All sockets of one address. */
struct bound {
	SLIST_ENTRY(bound) in_sockets;
	struct address address;
	int *fds;
	size_t n_fds;
	size_t n_before; /* how many there were before the list that is under way */
	bool is_wanted;  /* by that list, or by the last one that was completed */
};

struct sockets {
	SLIST_HEAD(, bound) bound;
	struct bound given;
};

static void close_from(struct bound *bound, size_t first)
{
	while (bound->n_fds > first) {
		close(bound->fds[--bound->n_fds]);
	}
}

static void bound_free(struct bound *bound)
{
	close_from(bound, 0);
	free(bound->fds);
	free(bound);
}

int sockets_new(struct sockets **ret_sockets)
{
	struct sockets *sockets = calloc(1, sizeof(*sockets));

	if (!sockets) {
		return -ENOMEM;
	}
	SLIST_INIT(&sockets->bound);
	*ret_sockets = sockets;
	return 0;
}

void sockets_close(struct sockets *sockets)
{
	struct bound *bound;

	while ((bound = SLIST_FIRST(&sockets->bound))) {
		SLIST_REMOVE_HEAD(&sockets->bound, in_sockets);
		bound_free(bound);
	}
	close_from(&sockets->given, 0);
}

struct sockets *sockets_free(struct sockets *sockets)
{
	if (sockets) {
		sockets_close(sockets);
		free(sockets->given.fds);
		free(sockets);
	}
	return NULL;
}

/* Appends @fd, which stays the caller's on failure. Returns 0 or -ENOMEM. */
static int append(struct bound *bound, int fd)
{
	int *fds = reallocarray(bound->fds, bound->n_fds + 1, sizeof(*fds));

	if (!fds) {
		return -ENOMEM;
	}
	bound->fds = fds;
	bound->fds[bound->n_fds++] = fd;
	return 0;
}

static bool is_listening_tcp(int fd)
{
	struct sockaddr_storage storage;
	struct address address;
	socklen_t n = sizeof(storage);
	int is_listening = 0, type = 0;
	socklen_t n_listening = sizeof(is_listening), n_type = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &n_listening) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n_type) == 0 && is_listening &&
	       type == SOCK_STREAM && getsockname(fd, (struct sockaddr *)&storage, &n) == 0 &&
	       address_from_sockaddr((struct sockaddr *)&storage, &address) == 0;
}

int sockets_give(struct sockets *sockets, int fd)
{
	int r = -EINVAL;

	if (is_listening_tcp(fd)) {
		/* The service manager may have left it blocking, and accept(2) must not wait. */
		r = fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0
			  ? -errno
			  : append(&sockets->given, fd);
	}
	if (r < 0) {
		close(fd);
	}
	return r;
}

bool sockets_are_given(const struct sockets *sockets)
{
	return sockets->given.n_fds;
}

void sockets_begin(struct sockets *sockets)
{
	struct bound *bound;

	sockets_abort(sockets);
	SLIST_FOREACH(bound, &sockets->bound, in_sockets) {
		bound->n_before = bound->n_fds;
		bound->is_wanted = false;
	}
}

static struct bound *find(struct sockets *sockets, const struct address *address)
{
	struct bound *bound;

	SLIST_FOREACH(bound, &sockets->bound, in_sockets) {
		if (address_same_host(&bound->address, address) &&
		    address_port(&bound->address) == address_port(address)) {
			return bound;
		}
	}
	return NULL;
}

/* Whether sockets of this object listen on the same port: 0.0.0.0:80 after 127.0.0.1:80, say. Then
 * the port is this program's already, and needs no claim. */
static bool has_port(struct sockets *sockets, const struct address *address)
{
	struct bound *bound;

	SLIST_FOREACH(bound, &sockets->bound, in_sockets) {
		if (bound->n_fds && bound->address.any.sa_family == address->any.sa_family &&
		    address_port(&bound->address) == address_port(address)) {
			return true;
		}
	}
	return false;
}

static int open_one(struct sockets *sockets, struct bound *bound)
{
	enum bind_role role = bound->n_fds ? BIND_JOIN : BIND_CLAIM;
	int fd;
	int r = bind_listen(&bound->address, role, &fd);

	if (r == -EADDRINUSE && role == BIND_CLAIM && has_port(sockets, &bound->address)) {
		r = bind_listen(&bound->address, BIND_JOIN, &fd);
	}
	if (r == 0) {
		r = append(bound, fd);
		if (r < 0) {
			close(fd);
		}
	}
	return r;
}

int sockets_want(struct sockets *sockets, const struct address *address, size_t n,
		 const int **ret_fds, size_t *ret_n_fds)
{
	struct bound *bound = sockets->given.n_fds ? &sockets->given : find(sockets, address);
	int r = 0;

	if (!bound) {
		bound = calloc(1, sizeof(*bound));
		if (!bound) {
			return -ENOMEM;
		}
		bound->address = *address;
		SLIST_INSERT_HEAD(&sockets->bound, bound, in_sockets);
	}
	while (r == 0 && bound != &sockets->given && bound->n_fds < n) {
		r = open_one(sockets, bound);
	}
	if (r < 0) {
		return r;
	}
	bound->is_wanted = true;
	*ret_fds = bound->fds;
	*ret_n_fds = bound->n_fds;
	return 0;
}

void sockets_commit(struct sockets *sockets)
{
	struct bound *bound, *next;

	for (bound = SLIST_FIRST(&sockets->bound); bound; bound = next) {
		next = SLIST_NEXT(bound, in_sockets);
		bound->n_before = bound->n_fds;
		if (!bound->is_wanted) {
			SLIST_REMOVE(&sockets->bound, bound, bound, in_sockets);
			bound_free(bound);
		}
	}
}

void sockets_abort(struct sockets *sockets)
{
	struct bound *bound, *next;

	for (bound = SLIST_FIRST(&sockets->bound); bound; bound = next) {
		next = SLIST_NEXT(bound, in_sockets);
		close_from(bound, bound->n_before);
		bound->is_wanted = bound->n_fds;
		if (!bound->n_fds) {
			SLIST_REMOVE(&sockets->bound, bound, bound, in_sockets);
			bound_free(bound);
		}
	}
}
