/* SPDX-License-Identifier: MIT */
#include "gateway/listener/bind.h"

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

static bool set_option(int fd, int level, int option)
{
	int one = 1;

	return setsockopt(fd, level, option, &one, sizeof(one)) == 0;
}

void bind_set_buffers(int fd, const struct bind_place *place)
{
	const int receive = (int)place->receive_buffer;
	const int send = (int)place->send_buffer;

	if (receive) {
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive, sizeof(receive));
	}
	if (send) {
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send, sizeof(send));
	}
}

static bool listen_on(int fd, const struct bind_place *place, enum bind_role role)
{
	const struct address *address = &place->address;

	/* The window that TCP offers depends on the buffer that there is before it listens. */
	bind_set_buffers(fd, place);
	return set_option(fd, SOL_SOCKET, SO_REUSEADDR) &&
	       (address->any.sa_family != AF_INET6 || set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY)) &&
	       (role != BIND_JOIN || set_option(fd, SOL_SOCKET, SO_REUSEPORT)) &&
	       bind(fd, &address->any, address_size(address)) == 0 &&
	       listen(fd, (int)place->backlog) == 0 &&
	       (role != BIND_CLAIM || set_option(fd, SOL_SOCKET, SO_REUSEPORT));
}

int bind_listen(const struct bind_place *place, enum bind_role role, int *ret_fd)
{
	int fd =
		socket(place->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0) {
		return -errno;
	}
	if (!listen_on(fd, place, role)) {
		int r = -errno;

		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

const char *bind_advice(int r)
{
	switch (r) {
	case -EADDRINUSE:
		return "another program listens there, or another instance of this one";
	case -EADDRNOTAVAIL:
		return "it is not an address of this machine";
	case -EACCES:
		return "a port below 1024 needs root or CAP_NET_BIND_SERVICE, a unix socket a "
		       "folder that the program may write to";
	case -EEXIST:
		return "a file that is no socket has the name";
	case -ENOENT:
		return "the folder of a unix socket must be there, and a socket of systemd must "
		       "have that name (FileDescriptorName=)";
	case -EPERM:
		return "the program's user must be a member of the group";
	default:
		return "";
	}
}
