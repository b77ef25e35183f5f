/* SPDX-License-Identifier: MIT */
#include "gateway/process/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gateway/upstream/tls/authorities.h"

enum {
	/* What a file can be asked for; the other rights are those of folders. */
	OF_FILES = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
		   LANDLOCK_ACCESS_FS_READ_FILE,
	READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
	WRITE = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG | READ,
	/* A socket is made beside the former one and renamed (ops/admin-socket.h). */
	SOCKET = LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_REMOVE_FILE | READ,
	/* All that the first version of Landlock knows. What it does not know is never allowed by
	 * mistake: it is not restricted, on any kernel. */
	ALL = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1,
};

/* The system's own files: name servers, hosts, authorities, time zones, libraries and their
 * configuration; what the process tells about itself. */
static const char *const system_paths[] = {"/etc",       "/usr",         "/lib",
					   "/lib64",     "/dev/urandom", "/dev/null",
					   "/proc/self", "/proc/sys",    "/sys/devices/system/cpu"};

static int add_rule(int ruleset, const char *path, uint64_t access)
{
	struct landlock_path_beneath_attr rule = {.allowed_access = access};
	struct stat stat;

	rule.parent_fd = open(path, O_PATH | O_CLOEXEC);
	if (rule.parent_fd < 0) {
		return errno == ENOENT || errno == EACCES || errno == ENOTDIR ? 0 : -errno;
	}
	if (fstat(rule.parent_fd, &stat) == 0 && !S_ISDIR(stat.st_mode)) {
		rule.allowed_access &= OF_FILES;
	}
	int r = (int)syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);

	r = r < 0 ? -errno : 0;
	close(rule.parent_fd);
	return r;
}

/* The folder and not the file, which may be replaced by another one of that name. If the path leads
 * through a symbolic link, the folder of the file itself as well. */
static int add_folder_of(int ruleset, const char *path, uint64_t access)
{
	char real[PATH_MAX];
	const char *paths[] = {path, path ? realpath(path, real) : NULL};
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(paths); i++) {
		const char *slash = paths[i] ? strrchr(paths[i], '/') : NULL;
		char *folder =
			!slash ? strdup(".") : strndup(paths[i], (size_t)(slash - paths[i]) + 1);

		if (!folder) {
			return -ENOMEM;
		}
		r = paths[i] ? add_rule(ruleset, folder, access) : 0;
		free(folder);
	}
	return r;
}

/* Adds each path of @list, which has @separator between them, by @add. */
static int add_list(int ruleset, const char *list, char separator,
		    int (*add)(int ruleset, const char *path, uint64_t access))
{
	struct sv rest = sv_from(list);
	struct sv item;
	int r = 0;

	while (r == 0 && sv_split(&rest, separator, &item)) {
		char *path = strndup(item.data ? item.data : "", item.n);

		if (!path) {
			return -ENOMEM;
		}
		r = item.n ? add(ruleset, path, READ) : 0;
		free(path);
	}
	return r;
}

/* The files that the configuration names. */
static int add_named(int ruleset, const struct config *config)
{
	int r = add_list(ruleset, config->files, '\n', add_folder_of);

	if (r == 0 && config->log_path && config->log_place == LOG_PLACE_FILE) {
		r = add_folder_of(ruleset, config->log_path, WRITE);
	}
	if (r == 0 && config->admin[0] == '/') {
		r = add_folder_of(ruleset, config->admin, SOCKET);
	}
	return r;
}

static int add_all(int ruleset, const struct config *config)
{
	int r = add_named(ruleset, config);

	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(system_paths); i++) {
		r = add_rule(ruleset, system_paths[i], READ);
	}
	/* Often a link into /run. */
	if (r == 0) {
		r = add_folder_of(ruleset, "/etc/resolv.conf", READ);
	}
	if (r == 0) {
		r = add_folder_of(ruleset, authorities_file(), READ);
	}
	return r == 0 ? add_list(ruleset, authorities_folders(), ':', add_rule) : r;
}

int files_restrict(const struct config *config, bool *ret_is_restricted)
{
	const struct landlock_ruleset_attr attributes = {.handled_access_fs = ALL};
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, sizeof(attributes), 0);

	*ret_is_restricted = false;
	if (ruleset < 0) {
		/* Not built in, not switched on, or forbidden by a container. */
		return errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM ? 0 : -errno;
	}
	int r = add_all(ruleset, config);

	if (r == 0) {
		r = syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
		*ret_is_restricted = r == 0;
	}
	close(ruleset);
	return r;
}
