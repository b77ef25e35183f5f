/* SPDX-License-Identifier: MIT */
/*
 * Clients of one program that is measured, and its CPU time:
 *
 *     client [OPTION...] KIND PORT SESSIONS TEXT MS PID...
 *
 * -t        with TLS
 * -b        the server is a real one: log in without an account, bind, send to oneself
 * -o        open and end sessions, SESSIONS at a time, instead of sending stanzas
 * -p POOL   own, shared or moved (load.h)
 * -c CORES  the cores of the benchmark, with commas
 * -x PIDS   the other processes of the benchmark, with commas
 * KIND      echo, http, blind, bosh, bosh-held or websocket (load.h)
 * PORT      one, or two with a comma between them (load.h)
 * TEXT      bytes of text in each stanza
 * MS        how long to measure, after a tenth of that to warm up. 0: open the sessions, print
 *           "open", and keep them until the standard input ends
 * PID       processes whose time counts
 *
 * Prints the round trips (-o: the sessions); in microseconds, the CPU time of the processes, that
 * of processes which do not belong to the benchmark on its cores, and the time that has passed; the
 * latency of half and of 99 % of the round trips; and how many percent of the requests moved:
 *
 *     ROUND-TRIPS CPU FOREIGN WALL P50 P99 MOVED
 */
#include <dirent.h>
#include <unistd.h>

#include "tests/bench/check.h"
#include "tests/bench/load.h"

enum {
	FIELDS = 8, /* of a core in /proc/stat: user nice system idle iowait irq softirq steal */
	FIELD_IDLE = 3,
	FIELD_IOWAIT = 4,
};

struct processes {
	char **pids;       /* those that are measured */
	char *others;      /* of the benchmark, but for this one */
	const char *cores; /* NULL: nothing foreign is noticed */
};

struct times {
	uint64_t cpu, ours, busy, wall; /* nanoseconds; busy: of the cores; ours: in that */
};

/* Of all threads, which neither come nor go while the load runs. */
static uint64_t process_ns(const char *pid)
{
	char path[300];
	const struct dirent *entry;
	uint64_t sum = 0;

	snprintf(path, sizeof(path), "/proc/%s/task", pid);
	DIR *tasks = opendir(path);

	check(tasks, path);
	while ((entry = readdir(tasks))) {
		unsigned long long ns = 0;

		if (entry->d_name[0] == '.') {
			continue;
		}
		snprintf(path, sizeof(path), "/proc/%s/task/%.20s/schedstat", pid, entry->d_name);
		FILE *file = fopen(path, "re");

		check(file && fscanf(file, "%llu", &ns) == 1, path);
		fclose(file);
		sum += ns;
	}
	closedir(tasks);
	return sum;
}

static bool is_listed(const char *list, unsigned long number)
{
	for (char *end; *list; list = *end ? end + 1 : end) {
		if (strtoul(list, &end, 10) == number) {
			return true;
		}
	}
	return false;
}

/* The time that all processes had on @cores. */
static uint64_t busy_ns(const char *cores)
{
	FILE *file = fopen("/proc/stat", "re");
	uint64_t ticks = 0;
	char line[512];

	check(file, "/proc/stat");
	while (fgets(line, sizeof(line), file)) {
		char *at = line + 3;

		if (strncmp(line, "cpu", 3) != 0 || *at == ' ' ||
		    !is_listed(cores, strtoul(at, &at, 10))) {
			continue;
		}
		for (size_t i = 0; i < FIELDS; i++) {
			unsigned long long field = strtoull(at, &at, 10);

			ticks += i == FIELD_IDLE || i == FIELD_IOWAIT ? 0 : field;
		}
	}
	fclose(file);
	return ticks * UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK);
}

static uint64_t listed_ns(const char *pids)
{
	char *copy = strdup(pids), *rest = copy;
	const char *pid;
	uint64_t sum = 0;

	check(copy, "memory");
	while ((pid = strsep(&rest, ","))) {
		sum += *pid ? process_ns(pid) : 0;
	}
	free(copy);
	return sum;
}

static struct times measure(const struct processes *processes)
{
	struct times times = {.wall = clock_ns(CLOCK_MONOTONIC)};

	for (char **pid = processes->pids; *pid; pid++) {
		times.cpu += process_ns(*pid);
	}
	if (processes->cores) {
		times.busy = busy_ns(processes->cores);
		times.ours = times.cpu + listed_ns(processes->others) +
			     clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	}
	return times;
}

static unsigned number_of(const char *const *names, unsigned n, const char *name)
{
	for (unsigned i = 0; i < n; i++) {
		if (strcmp(names[i], name) == 0) {
			return i;
		}
	}
	die("what is '%s'?", name);
}

static enum load_kind kind_of(const char *name)
{
	static const char *const names[LOAD_KINDS] = {
		[LOAD_ECHO] = "echo",           [LOAD_HTTP] = "http",
		[LOAD_BLIND] = "blind",         [LOAD_BOSH] = "bosh",
		[LOAD_BOSH_HELD] = "bosh-held", [LOAD_WEBSOCKET] = "websocket",
	};

	return (enum load_kind)number_of(names, LOAD_KINDS, name);
}

static enum load_pool pool_of(const char *name)
{
	static const char *const names[LOAD_POOLS] = {
		[LOAD_OWN] = "own", [LOAD_SHARED] = "shared", [LOAD_MOVED] = "moved"};

	return (enum load_pool)number_of(names, LOAD_POOLS, name);
}

static double us(uint64_t before, uint64_t after)
{
	return after > before ? (double)(after - before) / 1000 : 0;
}

static unsigned long long run_once(struct load *load, bool turns_over, size_t n, unsigned ms)
{
	return turns_over ? load_turn_over(load, n, ms) : load_run(load, ms);
}

static void run(struct load *load, bool turns_over, size_t n, unsigned ms,
		const struct processes *processes)
{
	uint64_t n_moved_before, n_moved, n_requests;

	run_once(load, turns_over, n, ms / 10 + 1);
	struct times before = measure(processes);

	n_requests = load_requests(load, &n_moved_before);
	unsigned long long n_done = run_once(load, turns_over, n, ms);
	struct times after = measure(processes);

	n_requests = load_requests(load, &n_moved) - n_requests;
	printf("%llu %.0f %.0f %.0f %u %u %.0f\n", n_done, us(before.cpu, after.cpu),
	       us(after.ours - before.ours, after.busy - before.busy), us(before.wall, after.wall),
	       load_latency(load, 50), load_latency(load, 99),
	       100.0 * (double)(n_moved - n_moved_before) / (double)(n_requests ? n_requests : 1));
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
	struct load_options options = {.kind = LOAD_ECHO};
	struct processes processes = {.others = (char[]){""}};
	bool turns_over = false;
	int option;

	while ((option = getopt(argc, argv, "tbop:c:x:")) >= 0) {
		switch (option) {
		case 't':
			options.tls = true;
			break;
		case 'b':
			options.binds = true;
			break;
		case 'o':
			turns_over = true;
			break;
		case 'p':
			options.pool = pool_of(optarg);
			break;
		case 'c':
			processes.cores = optarg;
			break;
		case 'x':
			processes.others = optarg;
			break;
		default:
			return EXIT_FAILURE;
		}
	}
	argv += optind;
	if (argc - optind < 5) {
		die("usage: client [OPTION...] KIND PORT SESSIONS TEXT MS PID...");
	}
	options.kind = kind_of(argv[0]);
	for (char *port = argv[1], *end = port; *port && options.n_ports < LOAD_PORTS_MAX;
	     port = *end ? end + 1 : end) {
		options.ports[options.n_ports++] = (uint16_t)strtoul(port, &end, 10);
	}
	options.n_sessions_max = strtoul(argv[2], NULL, 10);
	options.n_text = strtoul(argv[3], NULL, 10);
	unsigned ms = (unsigned)strtoul(argv[4], NULL, 10);
	struct load *load = load_new(&options);

	processes.pids = argv + 5;
	if (!turns_over) {
		load_open(load, options.n_sessions_max);
	}
	if (ms) {
		run(load, turns_over, options.n_sessions_max, ms, &processes);
	} else {
		stay();
	}
	load_close(load);
	load_free(load);
	return EXIT_SUCCESS;
}
