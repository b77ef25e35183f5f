/* SPDX-License-Identifier: MIT */
#include "gateway/ops/admin-socket.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/address.h"

static int open_stream(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

/* Binds @fd to a name beside @path and then gives it that name, so that there is no moment without
 * a socket while another process still has it. */
static int bind_path(int fd, struct admin_socket *admin)
{
	struct sockaddr_un address;
	char beside[sizeof(address.sun_path)];
	struct stat status;
	int n = snprintf(beside, sizeof(beside), "%s.%d", admin->path, (int)getpid());
	int r = n < (int)sizeof(beside) ? address_local(beside, &address) : -ENAMETOOLONG;

	if (r < 0) {
		return r;
	}
	(void)unlink(beside);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
		return -errno;
	}
	if (chmod(beside, ADMIN_SOCKET_MODE) < 0 || stat(beside, &status) < 0 ||
	    rename(beside, admin->path) < 0) {
		r = -errno;
		(void)unlink(beside);
		return r;
	}
	admin->device = status.st_dev;
	admin->inode = status.st_ino;
	return 0;
}

static int bind_address(int fd, const struct address *address)
{
	static const int on = 1;

	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on)) < 0 ||
	    bind(fd, &address->any, address_size(address)) < 0) {
		return -errno;
	}
	return 0;
}

/* Whether a file that is no socket has the name: it must not be replaced. */
static bool is_taken(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0 && !S_ISSOCK(status.st_mode);
}

static int open_and_bind(struct admin_socket *admin, const char *place)
{
	struct address address;
	bool is_address = address_parse(sv_from(place), 0, &address) == 0;

	admin->path = is_address ? NULL : place;
	if (admin->path && is_taken(admin->path)) {
		return -EEXIST;
	}
	admin->fd = open_stream(is_address ? address.any.sa_family : AF_UNIX);
	if (admin->fd < 0) {
		return admin->fd;
	}
	int r = is_address ? bind_address(admin->fd, &address) : bind_path(admin->fd, admin);

	return r == 0 && listen(admin->fd, ADMIN_BACKLOG) < 0 ? -errno : r;
}

int admin_socket_open(const char *place, struct admin_socket *ret_socket)
{
	int r;

	*ret_socket = (struct admin_socket){.fd = -1};
	r = open_and_bind(ret_socket, place);
	if (r < 0) {
		admin_socket_close(ret_socket);
	}
	return r;
}

void admin_socket_close(struct admin_socket *admin)
{
	struct stat status;

	if (admin->path && admin->inode && lstat(admin->path, &status) == 0 &&
	    status.st_dev == admin->device && status.st_ino == admin->inode) {
		(void)unlink(admin->path);
	}
	if (admin->fd >= 0) {
		close(admin->fd);
	}
	*admin = (struct admin_socket){.fd = -1};
}

int admin_socket_connect(const char *place)
{
	struct sockaddr_un local;
	struct address address;
	bool is_address = address_parse(sv_from(place), 0, &address) == 0;
	int r = is_address ? 0 : address_local(place, &local);

	if (r < 0) {
		return r;
	}
	int fd = open_stream(is_address ? address.any.sa_family : AF_UNIX);

	if (fd < 0) {
		return fd;
	}
	const struct sockaddr *to = is_address ? &address.any : (const struct sockaddr *)&local;

	if (connect(fd, to, is_address ? address_size(&address) : sizeof(local)) < 0) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}
