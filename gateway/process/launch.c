/* SPDX-License-Identifier: MIT */
#include "gateway/process/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/sv.h"
#include "gateway/process/control.h"

enum {
	LAUNCH_FIELDS = 6,
};

static char program[PATH_MAX];

/* Whether the path @name leads to this program. */
static bool is_own(const char *name)
{
	struct stat own, named;

	return strchr(name, '/') && stat("/proc/self/exe", &own) == 0 && stat(name, &named) == 0 &&
	       own.st_dev == named.st_dev && own.st_ino == named.st_ino;
}

void launch_init(const char *name)
{
	ssize_t n = is_own(name) ? 0 : readlink("/proc/self/exe", program, sizeof(program) - 1);

	if (n > 0) {
		program[n] = '\0';
	} else {
		snprintf(program, sizeof(program), "%s", name);
	}
}

/* posix_spawn(3) clears the close-on-exec flag of a descriptor that is duplicated onto itself. */
static int inherit(posix_spawn_file_actions_t *actions, const struct launch *launch)
{
	int r = posix_spawn_file_actions_adddup2(actions, launch->control, launch->control);

	if (r == 0) {
		r = posix_spawn_file_actions_adddup2(actions, launch->binder, launch->binder);
	}
	if (r == 0) {
		r = posix_spawn_file_actions_adddup2(actions, launch->door, launch->door);
	}
	return -r;
}

/* The environment and @more, which it borrows; the array is the caller's. setenv(3) would keep each
 * text for ever, or lose it. Returns NULL when there is no memory. */
static char **environment_with(char *more)
{
	size_t n = 0;

	while (environ[n]) {
		n++;
	}
	char **texts = reallocarray(NULL, n + 2, sizeof(*texts));

	if (texts) {
		memcpy(texts, environ, n * sizeof(*texts));
		texts[n] = more;
		texts[n + 1] = NULL;
	}
	return texts;
}

static int spawn(const struct launch *launch, char *const *argv, char *const *environment,
		 pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	int r = -posix_spawn_file_actions_init(&actions);

	if (r < 0) {
		return r;
	}
	r = inherit(&actions, launch);
	if (r == 0) {
		r = -posix_spawnp(ret_pid, program, &actions, NULL, argv, environment);
	}
	posix_spawn_file_actions_destroy(&actions);
	return r;
}

pid_t launch_start(const struct launch *launch, char *const *argv)
{
	char text[128];
	pid_t pid = -1;

	snprintf(text, sizeof(text), LAUNCH_VARIABLE "=%d:%u:%d:%d:%d:%u", CONTROL_PROTOCOL,
		 launch->generation, launch->control, launch->binder, launch->door,
		 launch->alive_ms);
	char **environment = environment_with(text);
	int r = environment ? spawn(launch, argv, environment, &pid) : -ENOMEM;

	free(environment);
	return r < 0 ? r : pid;
}

/* Reads the fields of @text. Returns false if they are not what launch_start() wrote. */
static bool read_fields(struct sv text, uint64_t ret_fields[static LAUNCH_FIELDS])
{
	struct sv field;
	size_t n = 0;

	while (sv_split(&text, ':', &field)) {
		if (n == LAUNCH_FIELDS || sv_to_u64(field, INT_MAX, &ret_fields[n]) < 0) {
			return false;
		}
		n++;
	}
	return n == LAUNCH_FIELDS;
}

enum launch_result launch_read(struct launch *ret_launch)
{
	const char *value = getenv(LAUNCH_VARIABLE);
	uint64_t fields[LAUNCH_FIELDS];

	if (!value) {
		return LAUNCH_NONE;
	}
	bool is_ours = read_fields(sv_from(value), fields) && fields[0] == CONTROL_PROTOCOL &&
		       fields[1] < CONTROL_GENERATIONS;

	unsetenv(LAUNCH_VARIABLE);
	if (!is_ours) {
		return LAUNCH_E_PROTOCOL;
	}
	*ret_launch = (struct launch){
		.generation = (unsigned)fields[1],
		.control = (int)fields[2],
		.binder = (int)fields[3],
		.door = (int)fields[4],
		/* 1 is what supervisors said before there were intervals. */
		.alive_ms = fields[5] == 1 ? 1000 : (unsigned)fields[5],
	};
	const int fds[] = {ret_launch->control, ret_launch->binder, ret_launch->door};

	for (size_t i = 0; i < ARRAY_LENGTH(fds); i++) {
		fcntl(fds[i], F_SETFD, FD_CLOEXEC);
	}
	return LAUNCH_FOUND;
}
