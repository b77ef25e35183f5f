/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/process/notify.h"

/* notify_send() remembers the address, so each case runs in a process of its own. */
static void in_child(void (*case_)(void))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		case_();
		_exit(EXIT_SUCCESS);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
}

/* A service manager's socket in the abstract namespace. */
static int manager_new(char ret_variable[static 64])
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(ret_variable, 64, "@doab-notify-%d", (int)getpid());
	size_t n = strlen(ret_variable);

	memcpy(address.sun_path + 1, ret_variable + 1, n - 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&address,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n)),
			 0);
	return fd;
}

static void case_send(void)
{
	char variable[64];
	char text[128];
	int fd = manager_new(variable);

	setenv("NOTIFY_SOCKET", variable, true);
	assert_int_equal(notify_send("READY=1"), 0);
	assert_int_equal(recv(fd, text, sizeof(text), 0), 7);
	assert_memory_equal(text, "READY=1", 7);
	/* It is remembered when the variable is gone. */
	notify_forget();
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_int_equal(notify_reloading(), 0);
	ssize_t n = recv(fd, text, sizeof(text) - 1, 0);

	assert_true(n > 0);
	text[n] = '\0';
	static const char before[] = "RELOADING=1\nMONOTONIC_USEC=";

	assert_memory_equal(text, before, strlen(before));
	assert_true(strtoll(text + strlen(before), NULL, 10) > 0);
	close(fd);
	assert_true(notify_send("STOPPING=1") < 0);
}

static void test_send(void **state)
{
	(void)state;
	in_child(case_send);
}

static void case_nobody(void)
{
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_send("READY=1"), 0);
	setenv("NOTIFY_SOCKET", "relative", true);
	assert_int_equal(notify_send("READY=1"), 0);
}

static void test_nobody(void **state)
{
	(void)state;
	in_child(case_nobody);
}

static void set_pid(const char *variable, pid_t pid)
{
	char text[32];

	snprintf(text, sizeof(text), "%d", (int)pid);
	setenv(variable, text, true);
}

static void assert_sockets(size_t n_expected)
{
	size_t n = NOTIFY_SOCKETS_MAX + 1;

	assert_int_equal(notify_sockets(&n), 0);
	assert_int_equal(n, n_expected);
}

static void case_sockets(void)
{
	char name[8];
	size_t n;

	assert_sockets(0);
	setenv("LISTEN_FDS", "3", true);
	set_pid("LISTEN_PID", getpid() + 1);
	assert_sockets(0);
	set_pid("LISTEN_PID", getpid());
	assert_sockets(3);
	setenv("LISTEN_FDNAMES", "web::a-long-name", true);
	notify_socket_name(0, sizeof(name), name);
	assert_string_equal(name, "web");
	notify_socket_name(1, sizeof(name), name);
	assert_string_equal(name, "");
	notify_socket_name(2, sizeof(name), name);
	assert_string_equal(name, "a-long-");
	notify_socket_name(3, sizeof(name), name);
	assert_string_equal(name, "");
	setenv("LISTEN_FDS", "64", true);
	assert_sockets(NOTIFY_SOCKETS_MAX);
	setenv("LISTEN_FDS", "65", true);
	assert_int_equal(notify_sockets(&n), -E2BIG);
	setenv("LISTEN_FDS", "nonsense", true);
	assert_sockets(0);
	notify_forget();
	assert_sockets(0);
}

static void test_sockets(void **state)
{
	(void)state;
	in_child(case_sockets);
}

static void case_watchdog(void)
{
	assert_int_equal(notify_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "30000000", true);
	assert_int_equal(notify_watchdog_ms(), 15000);
	set_pid("WATCHDOG_PID", getpid());
	assert_int_equal(notify_watchdog_ms(), 15000);
	set_pid("WATCHDOG_PID", getpid() + 1);
	assert_int_equal(notify_watchdog_ms(), 0);
	set_pid("WATCHDOG_PID", getpid());
	/* Shorter than can be: still not none. */
	setenv("WATCHDOG_USEC", "1", true);
	assert_int_equal(notify_watchdog_ms(), 1);
	setenv("WATCHDOG_USEC", "0", true);
	assert_int_equal(notify_watchdog_ms(), 0);
}

static void test_watchdog(void **state)
{
	(void)state;
	in_child(case_watchdog);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_send),
		cmocka_unit_test(test_nobody),
		cmocka_unit_test(test_sockets),
		cmocka_unit_test(test_watchdog),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
