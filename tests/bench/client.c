/* SPDX-License-Identifier: MIT */
/*
 * Clients of one program that is measured, and its CPU time:
 *
 *     client KIND PORT SESSIONS TEXT MS PID...
 *
 * KIND   echo, http, blind, bosh, bosh-held or websocket (load.h)
 * TEXT   bytes of text in each stanza
 * MS     how long to measure, after a tenth of that to warm up. 0: open the sessions, print "open",
 *        and keep them until the standard input ends
 * PID    processes whose time counts
 *
 * Prints the round trips, their CPU time (user and system) and how long the processes waited for a
 * core meanwhile, in microseconds, and the latency of half and of 99 % of the round trips:
 *
 *     ROUND-TRIPS CPU WAITED WALL P50 P99
 */
#include <dirent.h>
#include <unistd.h>

#include "tests/bench/check.h"
#include "tests/bench/load.h"

struct times {
	uint64_t cpu, waited, wall; /* nanoseconds */
};

/* Of all threads, which neither come nor go while the load runs. */
static void add_times(const char *pid, struct times *times)
{
	char path[300];
	const struct dirent *entry;

	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	DIR *tasks = opendir(path);

	check(tasks, path);
	while ((entry = readdir(tasks))) {
		unsigned long long cpu = 0, waited = 0;

		if (entry->d_name[0] == '.') {
			continue;
		}
		snprintf(path, sizeof(path), "/proc/%s/task/%.20s/schedstat", pid, entry->d_name);
		FILE *file = fopen(path, "re");

		check(file && fscanf(file, "%llu %llu", &cpu, &waited) == 2, path);
		fclose(file);
		times->cpu += cpu;
		times->waited += waited;
	}
	closedir(tasks);
}

static struct times measure(char **pids)
{
	struct times times = {.wall = clock_ns(CLOCK_MONOTONIC)};

	for (; *pids; pids++) {
		add_times(*pids, &times);
	}
	return times;
}

static enum load_kind kind_of(const char *name)
{
	static const char *const names[LOAD_KINDS] = {
		[LOAD_ECHO] = "echo",           [LOAD_HTTP] = "http",
		[LOAD_BLIND] = "blind",         [LOAD_BOSH] = "bosh",
		[LOAD_BOSH_HELD] = "bosh-held", [LOAD_WEBSOCKET] = "websocket",
	};

	for (size_t i = 0; i < LOAD_KINDS; i++) {
		if (strcmp(names[i], name) == 0) {
			return (enum load_kind)i;
		}
	}
	die("there is no load '%s'", name);
}

static double us(uint64_t before, uint64_t after)
{
	return (double)(after - before) / 1000;
}

static void run(struct load *load, unsigned ms, char **pids)
{
	load_run(load, ms / 10 + 1);
	struct times before = measure(pids);
	unsigned long long n = load_run(load, ms);
	struct times after = measure(pids);

	printf("%llu %.0f %.0f %.0f %u %u\n", n, us(before.cpu, after.cpu),
	       us(before.waited, after.waited), us(before.wall, after.wall), load_latency(load, 50),
	       load_latency(load, 99));
	load_drain(load);
}

static void stay(void)
{
	char byte;

	puts("open");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0) {
	}
}

int main(int argc, char **argv)
{
	if (argc < 6) {
		die("usage: client KIND PORT SESSIONS TEXT MS PID...");
	}
	size_t n_sessions = strtoul(argv[3], NULL, 10);
	unsigned ms = (unsigned)strtoul(argv[5], NULL, 10);
	struct load *load = load_new(kind_of(argv[1]), (uint16_t)strtoul(argv[2], NULL, 10),
				     n_sessions, strtoul(argv[4], NULL, 10));

	load_open(load, n_sessions);
	if (ms) {
		run(load, ms, argv + 6);
	} else {
		stay();
	}
	load_free(load);
	return EXIT_SUCCESS;
}
