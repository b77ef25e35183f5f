/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gateway/process/sandbox.h"
#include "tests/unit/gateway/upstream/skip.h"

enum {
	EXIT_SKIP = 77,
};

static char folder[] = "/tmp/doab-sandbox-XXXXXX";

static void write_file(const char *name, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static bool can_open(const char *name, int flags)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, flags, 0600);

	if (fd >= 0) {
		close(fd);
	}
	return fd >= 0;
}

static int set_up(void **state)
{
	char path[128];

	(void)state;
	if (!mkdtemp(folder)) {
		return -1;
	}
	snprintf(path, sizeof(path), "%s/inside", folder);
	if (mkdir(path, 0700) < 0) {
		return -1;
	}
	write_file("inside/doab.conf", "workers = 1\n");
	write_file("outside", "a secret\n");
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static void *return_argument(void *argument)
{
	return argument;
}

static bool can_start_thread(void)
{
	pthread_t thread;
	void *result = NULL;
	int marker;

	return pthread_create(&thread, NULL, return_argument, &marker) == 0 &&
	       pthread_join(thread, &result) == 0 && result == &marker;
}

static bool can_run_program(void)
{
	char name[] = "true";
	char *const argv[] = {name, NULL};

	execv("/bin/true", argv);
	return false;
}

/* Each case runs in a process of its own, in the sandbox. Returns whether it did what was wanted;
 * skips where there is no sandbox. */
static bool in_sandbox(bool (*case_)(const struct sandbox *sandbox))
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct config *config;
		struct sandbox sandbox;
		char path[128];

		snprintf(path, sizeof(path), "%s/inside/doab.conf", folder);
		if (config_new(path, stderr, &config) < 0 || sandbox_enter(config, &sandbox) < 0) {
			_exit(EXIT_FAILURE);
		}
		if (!sandbox.restricts_calls) {
			_exit(EXIT_SKIP);
		}
		_exit(case_(&sandbox) ? EXIT_SUCCESS : EXIT_FAILURE);
	}
	assert_true(pid > 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == EXIT_SKIP) {
		SKIP_BECAUSE("no sandbox: built with a sanitizer, or no seccomp here");
	}
	return WEXITSTATUS(status) == EXIT_SUCCESS;
}

static bool case_files(const struct sandbox *sandbox)
{
	if (!sandbox->restricts_files) {
		return true; /* a kernel without Landlock */
	}
	return can_open("inside/doab.conf", O_RDONLY) && !can_open("outside", O_RDONLY) &&
	       errno == EACCES && !can_open("inside/doab.conf", O_WRONLY) &&
	       !can_open("inside/new", O_WRONLY | O_CREAT) && open("/etc/hosts", O_RDONLY) >= 0;
}

static void test_files(void **state)
{
	(void)state;
	assert_true(in_sandbox(case_files));
}

static bool case_programs(const struct sandbox *sandbox)
{
	(void)sandbox;
	return !can_run_program() && (errno == EPERM || errno == EACCES) && fork() < 0 &&
	       errno == EPERM;
}

static void test_programs(void **state)
{
	(void)state;
	assert_true(in_sandbox(case_programs));
}

/* What the server needs goes on. */
static bool case_service(const struct sandbox *sandbox)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	char name[IF_NAMESIZE];
	unsigned index = if_nametoindex("lo");

	(void)sandbox;
	/* Addresses of name servers and in a configuration that is read anew name interfaces. */
	return fd >= 0 && can_start_thread() && index > 0 && if_indextoname(index, name);
}

static void test_service(void **state)
{
	(void)state;
	assert_true(in_sandbox(case_service));
}

static bool case_process(const struct sandbox *sandbox)
{
	(void)sandbox;
	/* prctl(2) can only name threads any more, so /proc is asked. */
	FILE *file = fopen("/proc/self/status", "r");
	char line[128];
	unsigned n = 0;

	while (file && fgets(line, sizeof(line), file)) {
		n += strcmp(line, "NoNewPrivs:\t1\n") == 0;
		n += strcmp(line, "Seccomp:\t2\n") == 0;
	}
	return n == 2 && prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) < 0 && errno == EPERM;
}

static void test_process(void **state)
{
	(void)state;
	assert_true(in_sandbox(case_process));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_programs),
		cmocka_unit_test(test_service),
		cmocka_unit_test(test_process),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
