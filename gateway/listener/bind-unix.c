/* SPDX-License-Identifier: MIT */
#include "gateway/listener/bind-unix.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/address.h"

static int open_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

/* Returns 0 if a connection to @address is refused: nobody listens. */
static int expect_nobody(const struct sockaddr_un *address)
{
	int fd = open_socket();

	if (fd < 0) {
		return fd;
	}
	int r = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ? 0 : errno;

	close(fd);
	/* EAGAIN: its backlog is full. */
	return r == ECONNREFUSED ? 0 : r == 0 || r == EAGAIN ? -EADDRINUSE : -r;
}

static int remove_stale(const struct sockaddr_un *address)
{
	struct stat status;

	if (lstat(address->sun_path, &status) < 0) {
		return errno == ENOENT ? 0 : -errno;
	}
	if (!S_ISSOCK(status.st_mode)) {
		return -EEXIST;
	}
	int r = expect_nobody(address);

	return r == 0 && unlink(address->sun_path) < 0 && errno != ENOENT ? -errno : r;
}

bool bind_unix_is(const char *path, const struct bind_file *file)
{
	struct stat status;

	return lstat(path, &status) == 0 && status.st_dev == file->device &&
	       status.st_ino == file->inode;
}

int bind_unix_permit(const struct bind_place *place, const struct bind_file *file)
{
	if (!bind_unix_is(place->name, file)) {
		return -ENOENT;
	}
	/* The group first: changing it may take permissions away. */
	return (place->has_group && lchown(place->name, (uid_t)-1, place->gid) < 0) ||
			       chmod(place->name, place->mode) < 0
		     ? -errno
		     : 0;
}

static int listen_on(int fd, const struct sockaddr_un *address, const struct bind_place *place,
		     struct bind_file *file)
{
	struct stat status;
	/* Nobody else may connect until it has its permissions. */
	mode_t before = umask(0777);
	int r = bind(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? -errno : 0;

	umask(before);
	if (r < 0) {
		return r;
	}
	r = lstat(place->name, &status) < 0 ? -errno : 0;
	if (r < 0) {
		return r;
	}
	*file = (struct bind_file){.device = status.st_dev, .inode = status.st_ino};
	bind_set_buffers(fd, place);
	r = bind_unix_permit(place, file);
	if (r == 0 && listen(fd, (int)place->backlog) < 0) {
		r = -errno;
	}
	if (r < 0) {
		bind_unix_remove(place->name, file);
	}
	return r;
}

int bind_unix(const struct bind_place *place, struct bind_file *ret_file, int *ret_fd)
{
	struct sockaddr_un address;
	int r = address_local(place->name, &address);

	r = r < 0 ? r : remove_stale(&address);
	if (r < 0) {
		return r;
	}
	int fd = open_socket();

	r = fd < 0 ? fd : listen_on(fd, &address, place, ret_file);
	if (r < 0) {
		if (fd >= 0) {
			close(fd);
		}
		return r;
	}
	*ret_fd = fd;
	return 0;
}

void bind_unix_remove(const char *path, const struct bind_file *file)
{
	if (bind_unix_is(path, file)) {
		(void)unlink(path);
	}
}
