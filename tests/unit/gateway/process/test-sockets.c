/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "gateway/process/sockets.h"

static struct address at(const char *text)
{
	struct address address;

	assert_int_equal(address_parse(sv_from(text), -1, &address), 0);
	return address;
}

static int open_stream(void)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_true(fd >= 0);
	return fd;
}

/* @host with a port that is free. */
static struct address free_address(const char *host)
{
	struct sockaddr_storage storage;
	socklen_t n = sizeof(storage);
	struct address address = at(host);
	int fd = open_stream();

	address_set_port(&address, 0);
	assert_int_equal(bind(fd, &address.any, address_size(&address)), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&storage, &n), 0);
	assert_int_equal(address_from_sockaddr((struct sockaddr *)&storage, &address), 0);
	close(fd);
	return address;
}

static bool answers(const struct address *address)
{
	int fd = open_stream();
	bool does = connect(fd, &address->any, address_size(address)) == 0;

	close(fd);
	return does;
}

static struct bind_place place_of(const struct address *address)
{
	return (struct bind_place){.kind = BIND_ADDRESS, .address = *address, .backlog = 16};
}

static struct bind_place place_named(enum bind_kind kind, const char *name)
{
	struct bind_place place = {.kind = kind, .mode = 0600, .backlog = 16};

	snprintf(place.name, sizeof(place.name), "%s", name);
	return place;
}

/* Returns the number of sockets that there are then. */
static size_t want_place(struct sockets *sockets, const struct bind_place *place, size_t n)
{
	struct sockets_found found;

	assert_int_equal(sockets_want(sockets, place, n, &found), 0);
	return found.n_fds;
}

static size_t want(struct sockets *sockets, const struct address *address, size_t n)
{
	const struct bind_place place = place_of(address);

	return want_place(sockets, &place, n);
}

static struct sockets *made(const struct address *address, size_t n)
{
	struct sockets *sockets;

	assert_int_equal(sockets_new(&sockets), 0);
	sockets_begin(sockets);
	assert_int_equal(want(sockets, address, n), n);
	sockets_commit(sockets);
	return sockets;
}

static void test_the_next_list_replaces_the_last(void **state)
{
	struct address a = free_address("127.0.0.1:1");
	struct address b = free_address("127.0.0.2:1");
	struct sockets *sockets = made(&a, 2);

	(void)state;
	assert_true(answers(&a));
	/* The new one is there before the old one goes. */
	sockets_begin(sockets);
	assert_int_equal(want(sockets, &b, 1), 1);
	assert_true(answers(&a) && answers(&b));
	sockets_commit(sockets);
	assert_true(!answers(&a) && answers(&b));
	sockets_free(sockets);
	assert_false(answers(&b));
}

static void test_sockets_are_never_fewer(void **state)
{
	struct address a = free_address("127.0.0.1:1");
	struct sockets *sockets = made(&a, 3);

	(void)state;
	sockets_begin(sockets);
	/* Connections may wait in each. */
	assert_int_equal(want(sockets, &a, 1), 3);
	sockets_commit(sockets);
	sockets_begin(sockets);
	assert_int_equal(want(sockets, &a, 4), 4);
	sockets_commit(sockets);
	sockets_free(sockets);
}

static void test_a_list_that_fails(void **state)
{
	struct address a = free_address("127.0.0.1:1");
	struct address b = free_address("127.0.0.2:1");
	struct address taken = free_address("127.0.0.3:1");
	struct sockets *sockets = made(&a, 1);
	struct sockets *others = made(&taken, 1);
	const struct bind_place place = place_of(&taken);
	struct sockets_found found;

	(void)state;
	sockets_begin(sockets);
	assert_int_equal(want(sockets, &b, 1), 1);
	assert_int_equal(want(sockets, &a, 2), 2);
	assert_int_equal(sockets_want(sockets, &place, 1, &found), -EADDRINUSE);
	sockets_abort(sockets);
	assert_true(answers(&a) && !answers(&b));
	/* As before: the second socket of the first address is gone, too. */
	sockets_begin(sockets);
	assert_int_equal(want(sockets, &a, 1), 1);
	sockets_commit(sockets);
	sockets_free(others);
	sockets_free(sockets);
}

static void test_a_wider_address_on_the_same_port(void **state)
{
	struct address narrow = free_address("127.0.0.1:1");
	struct address wide = at("0.0.0.0:1");
	struct sockets *sockets = made(&narrow, 1);

	(void)state;
	address_set_port(&wide, address_port(&narrow));
	sockets_begin(sockets);
	assert_int_equal(want(sockets, &wide, 2), 2);
	sockets_commit(sockets);
	assert_true(answers(&narrow));
	sockets_free(sockets);
}

/* Returns the duplicate of a socket of @manager that listens on @address. */
static int give(struct sockets *sockets, const char *name, struct sockets *manager,
		const struct address *address)
{
	const struct bind_place place = place_of(address);
	struct sockets_found found;

	assert_int_equal(sockets_want(manager, &place, 1, &found), 0);
	int given = dup(found.fds[0]);

	assert_int_equal(fcntl(given, F_SETFL, 0), 0);
	assert_int_equal(sockets_give(sockets, name, given), 0);
	assert_true(fcntl(given, F_GETFL) & O_NONBLOCK);
	return given;
}

static void test_given(void **state)
{
	struct address a = free_address("127.0.0.1:1");
	struct address ignored = free_address("127.0.0.2:1");
	struct bind_place place = place_of(&ignored);
	struct sockets *manager = made(&a, 1);
	struct sockets *sockets;
	struct sockets_found found;

	(void)state;
	assert_int_equal(sockets_new(&sockets), 0);
	assert_int_equal(sockets_give(sockets, "", open_stream()), -EINVAL);
	int given = give(sockets, "", manager, &a);

	place.may_be_given = true;
	sockets_begin(sockets);
	assert_int_equal(sockets_want(sockets, &place, 4, &found), 0);
	assert_int_equal(found.n_fds, 1);
	assert_int_equal(found.fds[0], given);
	assert_true(found.are_given);
	sockets_commit(sockets);
	assert_false(answers(&ignored));
	sockets_free(sockets);
	sockets_free(manager);
}

/* A listener "fd:NAME" has those of that name, and what is left takes the place of addresses. */
static void test_given_by_name(void **state)
{
	struct address a = free_address("127.0.0.1:1");
	struct address b = free_address("127.0.0.2:1");
	struct bind_place web = place_named(BIND_GIVEN, "web");
	struct bind_place nobody = place_named(BIND_GIVEN, "other");
	struct bind_place own = place_of(&b);
	struct sockets *manager = made(&a, 1);
	struct sockets *sockets;
	struct sockets_found found;

	(void)state;
	assert_int_equal(sockets_new(&sockets), 0);
	int given = give(sockets, "web", manager, &a);

	own.may_be_given = true;
	for (int i = 0; i < 2; i++) {
		sockets_begin(sockets);
		assert_int_equal(sockets_want(sockets, &web, 4, &found), 0);
		assert_int_equal(found.n_fds, 1);
		assert_int_equal(found.fds[0], given);
		assert_false(found.are_given);
		assert_int_equal(sockets_want(sockets, &nobody, 1, &found), -ENOENT);
		assert_int_equal(sockets_want(sockets, &own, 1, &found), 0);
		assert_false(found.are_given);
		sockets_commit(sockets);
		assert_true(answers(&b));
	}
	sockets_free(sockets);
	sockets_free(manager);
}

/* Unix sockets. */

static char folder[] = "/tmp/doab-sockets-XXXXXX";

static struct bind_place place_in(const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return place_named(BIND_UNIX, path);
}

static bool answers_at(const char *path)
{
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(local.sun_path, path, strlen(path));
	bool does = connect(fd, (struct sockaddr *)&local, sizeof(local)) == 0;

	close(fd);
	return does;
}

static mode_t mode_of(const char *path)
{
	struct stat status;

	assert_int_equal(lstat(path, &status), 0);
	return status.st_mode & 07777;
}

static struct sockets *made_at(const struct bind_place *place)
{
	struct sockets *sockets;

	assert_int_equal(sockets_new(&sockets), 0);
	sockets_begin(sockets);
	/* One for all workers. */
	assert_int_equal(want_place(sockets, place, 4), 1);
	sockets_commit(sockets);
	return sockets;
}

static void test_unix(void **state)
{
	struct bind_place place = place_in("a");
	struct sockets *sockets = made_at(&place);

	(void)state;
	assert_true(answers_at(place.name));
	assert_int_equal(mode_of(place.name), 0600);
	/* A reload changes the permissions, and the socket stays. */
	place.mode = 0660;
	place.has_group = true;
	place.gid = getgid();
	sockets_begin(sockets);
	assert_int_equal(want_place(sockets, &place, 1), 1);
	sockets_commit(sockets);
	assert_int_equal(mode_of(place.name), 0660);
	assert_true(answers_at(place.name));
	/* The next one no longer has it. */
	sockets_begin(sockets);
	sockets_commit(sockets);
	assert_int_equal(access(place.name, F_OK), -1);
	sockets_free(sockets);
}

static void test_unix_of_somebody_else(void **state)
{
	struct bind_place place = place_in("b");
	struct sockets *first = made_at(&place);
	struct sockets *second;
	struct sockets_found found;

	(void)state;
	assert_int_equal(sockets_new(&second), 0);
	sockets_begin(second);
	assert_int_equal(sockets_want(second, &place, 1, &found), -EADDRINUSE);
	sockets_abort(second);
	assert_true(answers_at(place.name));
	/* Somebody removes it and makes another one: that one is not removed at the end. */
	assert_int_equal(unlink(place.name), 0);
	sockets_begin(second);
	assert_int_equal(want_place(second, &place, 1), 1);
	sockets_commit(second);
	sockets_free(first);
	assert_true(answers_at(place.name));
	sockets_free(second);
	assert_int_equal(access(place.name, F_OK), -1);
}

static void test_unix_stale(void **state)
{
	struct bind_place place = place_in("c");
	struct sockaddr_un local = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	(void)state;
	memcpy(local.sun_path, place.name, strlen(place.name));
	assert_int_equal(bind(fd, (struct sockaddr *)&local, sizeof(local)), 0);
	close(fd);
	assert_int_equal(access(place.name, F_OK), 0);
	struct sockets *sockets = made_at(&place);

	assert_true(answers_at(place.name));
	sockets_free(sockets);
}

static void test_unix_that_is_a_file(void **state)
{
	struct bind_place place = place_in("d");
	int fd = open(place.name, O_CREAT | O_WRONLY, 0600);
	struct sockets *sockets;
	struct sockets_found found;

	(void)state;
	close(fd);
	assert_int_equal(sockets_new(&sockets), 0);
	sockets_begin(sockets);
	assert_int_equal(sockets_want(sockets, &place, 1, &found), -EEXIST);
	place = place_in("none/d");
	assert_int_equal(sockets_want(sockets, &place, 1, &found), -ENOENT);
	sockets_free(sockets);
	place = place_in("d");
	assert_int_equal(unlink(place.name), 0);
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	(void)state;
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_next_list_replaces_the_last),
		cmocka_unit_test(test_sockets_are_never_fewer),
		cmocka_unit_test(test_a_list_that_fails),
		cmocka_unit_test(test_a_wider_address_on_the_same_port),
		cmocka_unit_test(test_given),
		cmocka_unit_test(test_given_by_name),
		cmocka_unit_test(test_unix),
		cmocka_unit_test(test_unix_of_somebody_else),
		cmocka_unit_test(test_unix_stale),
		cmocka_unit_test(test_unix_that_is_a_file),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
