/* SPDX-License-Identifier: MIT */
#include "gateway/ops/process-facts.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	/* proc(5): the fields of stat after the process's name in parentheses, which is the second
	 * field; counted from the third. */
	FIELD_UTIME = 14 - 3,
	FIELD_STIME = 15 - 3,
	FIELD_START = 22 - 3,
	/* The entries "." and "..", and the descriptor that reads the folder. */
	NOT_COUNTED = 3,
};

void process_facts_init(struct process_facts *facts)
{
	facts->stat = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	facts->statm = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	facts->descriptors = opendir("/proc/self/fd");
}

void process_facts_deinit(struct process_facts *facts)
{
	if (facts->stat >= 0) {
		close(facts->stat);
	}
	if (facts->statm >= 0) {
		close(facts->statm);
	}
	if (facts->descriptors) {
		closedir(facts->descriptors);
	}
	*facts = (struct process_facts){.stat = -1, .statm = -1};
}

/* The text of a file of proc(5), "" if there is none. */
static void read_text(int fd, size_t n_max, char *ret_text)
{
	ssize_t n = fd < 0 ? 0 : pread(fd, ret_text, n_max - 1, 0);

	ret_text[n > 0 ? n : 0] = '\0';
}

/* The number in field @index of a text of fields, 0 if there is none. */
static double field(const char *text, int index)
{
	while (text && index--) {
		text = strchr(text, ' ');
		text = text ? text + 1 : NULL;
	}
	return text ? strtod(text, NULL) : 0;
}

static double clock_s(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void read_stat(const struct process_facts *facts, struct process_numbers *numbers)
{
	double ticks = (double)sysconf(_SC_CLK_TCK);
	char text[1024];

	read_text(facts->stat, sizeof(text), text);
	const char *rest = strrchr(text, ')');

	if (rest && rest[1]) {
		double uptime_s = field(rest + 2, FIELD_START) / ticks;

		numbers->cpu_s =
			(field(rest + 2, FIELD_UTIME) + field(rest + 2, FIELD_STIME)) / ticks;
		numbers->started_s = clock_s(CLOCK_REALTIME) - clock_s(CLOCK_BOOTTIME) + uptime_s;
	}
}

static int64_t count_entries(DIR *folder)
{
	int64_t n = 0;

	if (folder) {
		rewinddir(folder);
		while (readdir(folder)) {
			n++;
		}
	}
	return n > NOT_COUNTED ? n - NOT_COUNTED : 0;
}

void process_facts_read(struct process_facts *facts, struct process_numbers *ret_numbers)
{
	char text[256];
	struct rlimit limit = {0};

	*ret_numbers = (struct process_numbers){0};
	read_stat(facts, ret_numbers);
	read_text(facts->statm, sizeof(text), text);
	ret_numbers->n_resident = (int64_t)field(text, 1) * sysconf(_SC_PAGESIZE);
	ret_numbers->n_descriptors = count_entries(facts->descriptors);
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	ret_numbers->n_descriptors_max = (int64_t)limit.rlim_cur;
}
