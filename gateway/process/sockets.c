/* SPDX-License-Identifier: MIT */
#include "gateway/process/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "common/array.h"
#include "common/sv.h"
#include "gateway/listener/bind-unix.h"

/* All sockets of one place. */
struct bound {
	SLIST_ENTRY(bound) in_sockets;
	struct bind_place place;
	struct bind_file file; /* BIND_UNIX */
	int *fds;
	size_t n_fds;
	size_t n_before; /* how many there were before the list that is under way */
	bool is_wanted;  /* by that list, or by the last one that was completed */
};

SLIST_HEAD(bound_list, bound);

struct sockets {
	struct bound_list bound;
	struct bound_list given; /* one for each name */
	struct bound loose;      /* those of names that the list has not asked for; borrowed */
};

static void close_from(struct bound *bound, size_t first)
{
	if (first == 0 && bound->n_fds && bound->place.kind == BIND_UNIX) {
		bind_unix_remove(bound->place.name, &bound->file);
	}
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
	SLIST_INIT(&sockets->given);
	*ret_sockets = sockets;
	return 0;
}

static void free_list(struct bound_list *list)
{
	struct bound *bound;

	while ((bound = SLIST_FIRST(list))) {
		SLIST_REMOVE_HEAD(list, in_sockets);
		bound_free(bound);
	}
}

void sockets_close(struct sockets *sockets)
{
	free_list(&sockets->bound);
	free_list(&sockets->given);
	free(sockets->loose.fds);
	sockets->loose = (struct bound){0};
}

struct sockets *sockets_free(struct sockets *sockets)
{
	if (sockets) {
		sockets_close(sockets);
		free(sockets);
	}
	return NULL;
}

/* Appends @fd, which stays the caller's on failure. Returns 0 or -ENOMEM. */
static int append(struct bound *bound, int fd)
{
	int *fds = array_grow(bound->fds, bound->n_fds, sizeof(*fds));

	if (!fds) {
		return -ENOMEM;
	}
	bound->fds = fds;
	bound->fds[bound->n_fds++] = fd;
	return 0;
}

static bool is_listening_stream(int fd)
{
	struct sockaddr_storage storage;
	socklen_t n = sizeof(storage);
	int is_listening = 0, type = 0;
	socklen_t n_listening = sizeof(is_listening), n_type = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &n_listening) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n_type) == 0 && is_listening &&
	       type == SOCK_STREAM && getsockname(fd, (struct sockaddr *)&storage, &n) == 0 &&
	       (storage.ss_family == AF_INET || storage.ss_family == AF_INET6 ||
		storage.ss_family == AF_UNIX);
}

static struct bound *find_given(struct sockets *sockets, const char *name)
{
	struct bound *bound;

	SLIST_FOREACH(bound, &sockets->given, in_sockets) {
		if (strcmp(bound->place.name, name) == 0) {
			return bound;
		}
	}
	return NULL;
}

static int add_given(struct sockets *sockets, const char *name, int fd)
{
	struct bound *bound = find_given(sockets, name);

	if (!bound) {
		bound = calloc(1, sizeof(*bound));
		if (!bound) {
			return -ENOMEM;
		}
		bound->place.kind = BIND_GIVEN;
		snprintf(bound->place.name, BIND_NAME_MAX, "%s", name);
		SLIST_INSERT_HEAD(&sockets->given, bound, in_sockets);
	}
	return append(bound, fd);
}

int sockets_give(struct sockets *sockets, const char *name, int fd)
{
	int r = -EINVAL;

	if (is_listening_stream(fd)) {
		/* The service manager may have left it blocking, and accept(2) must not wait. */
		r = fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0
			  ? -errno
			  : add_given(sockets, name, fd);
	}
	if (r < 0) {
		close(fd);
	}
	return r;
}

void sockets_begin(struct sockets *sockets)
{
	struct bound *bound;

	sockets_abort(sockets);
	SLIST_FOREACH(bound, &sockets->bound, in_sockets) {
		bound->n_before = bound->n_fds;
		bound->is_wanted = false;
	}
	SLIST_FOREACH(bound, &sockets->given, in_sockets) {
		bound->is_wanted = false;
	}
}

static struct bound *find(struct sockets *sockets, const struct bind_place *place)
{
	struct bound *bound;

	SLIST_FOREACH(bound, &sockets->bound, in_sockets) {
		if (bound->place.kind == place->kind &&
		    (place->kind == BIND_UNIX
			     ? strcmp(bound->place.name, place->name) == 0
			     : address_is_same(&bound->place.address, &place->address))) {
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
		const struct address *other = &bound->place.address;

		if (bound->place.kind == BIND_ADDRESS && bound->n_fds &&
		    other->any.sa_family == address->any.sa_family &&
		    address_port(other) == address_port(address)) {
			return true;
		}
	}
	return false;
}

static int bind_one(struct sockets *sockets, struct bound *bound, int *ret_fd)
{
	enum bind_role role = bound->n_fds ? BIND_JOIN : BIND_CLAIM;

	if (bound->place.kind == BIND_UNIX) {
		return bind_unix(&bound->place, &bound->file, ret_fd);
	}
	int r = bind_listen(&bound->place, role, ret_fd);

	return r == -EADDRINUSE && role == BIND_CLAIM && has_port(sockets, &bound->place.address)
		     ? bind_listen(&bound->place, BIND_JOIN, ret_fd)
		     : r;
}

static int open_one(struct sockets *sockets, struct bound *bound)
{
	int fd;
	int r = bind_one(sockets, bound, &fd);

	if (r == 0) {
		r = append(bound, fd);
		if (r < 0) {
			close(fd);
		}
	}
	return r;
}

/* The place may say something else than at the last time. */
static int adapt(struct bound *bound, const struct bind_place *place)
{
	bound->place = *place;
	for (size_t i = 0; i < bound->n_fds; i++) {
		bind_set_buffers(bound->fds[i], place);
		if (listen(bound->fds[i], (int)place->backlog) < 0) {
			return -errno;
		}
	}
	if (place->kind != BIND_UNIX || !bound->n_fds) {
		return 0;
	}
	if (!bind_unix_is(place->name, &bound->file)) {
		/* Somebody has removed it: it is made anew. */
		close_from(bound, 0);
		return 0;
	}
	return bind_unix_permit(place, &bound->file);
}

static int open_bound(struct sockets *sockets, const struct bind_place *place, size_t n,
		      struct bound **ret_bound)
{
	struct bound *bound = find(sockets, place);

	if (!bound) {
		bound = calloc(1, sizeof(*bound));
		if (!bound) {
			return -ENOMEM;
		}
		SLIST_INSERT_HEAD(&sockets->bound, bound, in_sockets);
	}
	int r = adapt(bound, place);

	/* Of a path there is one. */
	n = place->kind == BIND_UNIX ? 1 : n;
	while (r == 0 && bound->n_fds < n) {
		r = open_one(sockets, bound);
	}
	*ret_bound = bound;
	return r;
}

/* Gathers the given sockets that no listener has asked for by their name. */
static int gather_loose(struct sockets *sockets)
{
	struct bound *bound;
	int r = 0;

	sockets->loose.n_fds = 0;
	SLIST_FOREACH(bound, &sockets->given, in_sockets) {
		for (size_t i = 0; r == 0 && !bound->is_wanted && i < bound->n_fds; i++) {
			r = append(&sockets->loose, bound->fds[i]);
		}
	}
	return r;
}

int sockets_want(struct sockets *sockets, const struct bind_place *place, size_t n,
		 struct sockets_found *ret_found)
{
	struct bound *bound = NULL;
	int r = place->may_be_given ? gather_loose(sockets) : 0;
	bool is_given = r == 0 && place->may_be_given && sockets->loose.n_fds;

	if (r < 0) {
		return r;
	}
	if (is_given) {
		bound = &sockets->loose;
	} else if (place->kind == BIND_GIVEN) {
		bound = find_given(sockets, place->name);
		r = bound ? 0 : -ENOENT;
	} else {
		r = open_bound(sockets, place, n, &bound);
	}
	if (r < 0) {
		return r;
	}
	bound->is_wanted = true;
	*ret_found = (struct sockets_found){bound->fds, bound->n_fds, is_given};
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
