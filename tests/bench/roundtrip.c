/* SPDX-License-Identifier: MIT */
/*
 * The cost of a stanza: starts the gateway with one worker, acts as its clients and as an XMPP
 * server that echoes every stanza, and reports the CPU time (user and system) of the gateway per
 * round trip.
 *
 *     roundtrip GATEWAY [--quick]
 *     roundtrip GATEWAY --only LOAD SECONDS     to run under a profiler
 *
 * echo       the baseline: a bare epoll loop that sends back what it reads, over plain TCP
 * bosh       one request per round trip, answered with the echo
 * bosh-held  one request is held while another connection sends the stanza. The held one is
 *            answered with the echo, and the other is held from then on
 * websocket  one message each way
 *
 * There are 50 sessions. The speed of a machine varies from second to second, so the loads
 * alternate with the baseline for several rounds. Figures are medians of the rounds, and the ratio
 * to the baseline of the same round says more than the microseconds.
 *
 * Memory is the growth of the resident set of a new gateway with 2000 idle sessions, without what
 * the kernel keeps for their sockets.
 *
 * Fails only if a round trip is not completed.
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/check.h"
#include "tests/bench/load.h"

enum {
	N_BUSY = 50,
	/* idle sessions before the first look at memory: everything made only once exists then */
	N_WARM = 200,
	N_IDLE = 2000,
	N_ROUNDS_MAX = 5,
	ROUND_MS = 1500,
	QUICK_MS = 500,
	WARM_UP_MS = 150,
	SETTLE_MS = 400,
	EVENTS_MAX = 64,
	DATA_SIZE = 4096,
};

static const char *const names[LOAD_KINDS] = {"echo", "bosh", "bosh-held", "websocket"};

struct figures {
	double cpu_us[N_ROUNDS_MAX], ratio[N_ROUNDS_MAX], per_s[N_ROUNDS_MAX];
};

static char config_path[] = "/tmp/roundtrip-XXXXXX";
static const char *gateway_path;
static pid_t gateway_pid, server_pid;
static clockid_t gateway_clock, echo_clock;
static uint16_t gateway_port, server_port, echo_port;

/* The XMPP server. For a peer that sends no stream header, it is the baseline. */

static void on_data(int fd, const char *data, size_t n)
{
	static const char header[] =
		"<?xml version='1.0'?><stream:stream xmlns='jabber:client' version='1.0' id='b' "
		"from='bench.test' "
		"xmlns:stream='http://etherx.jabber.org/streams'><stream:features>"
		"<mechanisms "
		"xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>PLAIN</mechanism></mechanisms>"
		"</stream:features>";

	if (n > 1 && data[0] == '<' && data[1] == '?') {
		(void)!send(fd, header, sizeof(header) - 1, MSG_NOSIGNAL);
	} else if (n > 1 && (data[0] != '<' || data[1] != '/')) {
		/* Only stanzas follow, and they may be echoed in pieces. */
		(void)!send(fd, data, n, MSG_NOSIGNAL);
	}
}

static void watch(int epoll, int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	int one = 1;

	check(fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0, "serve");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void *serve(void *listening_pointer)
{
	int listening = *(int *)listening_pointer, epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ready[EVENTS_MAX];
	char data[DATA_SIZE];

	watch(epoll, listening);
	for (;;) {
		int n_ready = epoll_wait(epoll, ready, EVENTS_MAX, -1);

		for (int i = 0; i < n_ready; i++) {
			int fd = ready[i].data.fd;

			if (fd == listening) {
				watch(epoll, accept4(listening, NULL, NULL, SOCK_CLOEXEC));
				continue;
			}
			ssize_t n = recv(fd, data, sizeof(data), 0);

			if (n > 0) {
				on_data(fd, data, (size_t)n);
			} else {
				close(fd);
			}
		}
	}
	return NULL;
}

static int listen_on(uint16_t *ret_port)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t n = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	check(fd >= 0 && bind(fd, (struct sockaddr *)&address, n) == 0 &&
		      listen(fd, SOMAXCONN) == 0,
	      "listen");
	check(getsockname(fd, (struct sockaddr *)&address, &n) == 0, "getsockname");
	*ret_port = ntohs(address.sin_port);
	return fd;
}

static void start_server(int *listening, uint16_t *ret_port, clockid_t *ret_clock)
{
	pthread_t thread;

	*listening = listen_on(ret_port);
	errno = pthread_create(&thread, NULL, serve, listening);
	check(errno == 0, "pthread_create");
	errno = pthread_getcpuclockid(thread, ret_clock);
	check(errno == 0, "pthread_getcpuclockid");
}

/* The gateway. */

static void remove_config(void)
{
	unlink(config_path);
}

static void write_config(void)
{
	int fd = mkstemp(config_path);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "w");

	check(file, config_path);
	atexit(remove_config);
	close(listen_on(&gateway_port));
	fprintf(file,
		"listen = {\"127.0.0.1:%u\"}\nworkers = 1\nwait = 60\ninactivity = "
		"5\nping_interval = 0\n"
		"log_level = \"error\"\nlimits {\n\tmax_sessions = 100000\n"
		"\tsessions_per_address = 100000\n\tconnections_per_address = 100000\n"
		"\tconnection_rate = 0\n\tsession_rate = 0\n\tdomain_session_rate = 0\n"
		"\trequest_rate = 0\n}\n"
		"domain \"bench.test\" {\n\tconnect = {\"127.0.0.1:%u\"}\n\ttls = \"off\"\n}\n",
		gateway_port, server_port);
	check(fclose(file) == 0, config_path);
}

/* The process that serves: the child of the supervisor, or the process itself if it has none. */
static pid_t serving_process(pid_t pid)
{
	char path[64];
	int child = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	FILE *file = fopen(path, "re");

	check(file, path);
	(void)!fscanf(file, "%d", &child);
	fclose(file);
	return child ? child : pid;
}

static void start_gateway(void)
{
	int fd = -1;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	gateway_pid = fork();
	check(gateway_pid >= 0, "fork");
	if (gateway_pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(gateway_path, gateway_path, "--config", config_path, (char *)NULL);
		perror(gateway_path);
		_exit(EXIT_FAILURE);
	}
	for (int i = 0; i < 500 && fd < 0; i++) {
		usleep(10000);
		fd = load_connect(gateway_port);
	}
	check(fd >= 0, "the gateway does not listen");
	close(fd);
	server_pid = serving_process(gateway_pid);
	errno = clock_getcpuclockid(server_pid, &gateway_clock);
	check(errno == 0, "clock_getcpuclockid");
}

/* Killed at once: nobody waits for an orderly end. */
static void stop_gateway(void)
{
	kill(gateway_pid, SIGKILL);
	kill(server_pid, SIGKILL);
	/* The server's supervisor is gone: its sockets are closed when this process has reaped
	 * it. */
	while (wait(NULL) > 0) {
	}
}

static double resident_kb(void)
{
	char line[256];
	double kb = 0;

	snprintf(line, sizeof(line), "/proc/%d/smaps_rollup", server_pid);
	FILE *file = fopen(line, "re");

	check(file, line);
	while (kb == 0 && fgets(line, sizeof(line), file)) {
		(void)!sscanf(line, "Rss: %lf", &kb);
	}
	fclose(file);
	return kb;
}

/* Measuring. */

static void measure(enum load_kind kind, unsigned ms, struct figures *figures, size_t round)
{
	clockid_t clock = kind == LOAD_ECHO ? echo_clock : gateway_clock;
	struct load *load = load_new(kind, kind == LOAD_ECHO ? echo_port : gateway_port, N_BUSY);

	load_open(load, N_BUSY);
	load_run(load, WARM_UP_MS);
	uint64_t cpu = clock_ns(clock), wall = clock_ns(CLOCK_MONOTONIC);
	double n = (double)load_run(load, ms);

	cpu = clock_ns(clock) - cpu;
	wall = clock_ns(CLOCK_MONOTONIC) - wall;
	load_drain(load);
	load_free(load);
	figures->cpu_us[round] = (double)cpu / n / 1000;
	figures->per_s[round] = n / (double)wall * 1e9;
}

static double measure_memory(enum load_kind kind)
{
	struct load *load = load_new(kind, gateway_port, N_WARM + N_IDLE);

	start_gateway();
	load_open(load, N_WARM);
	usleep(SETTLE_MS * 1000);
	double kb = resident_kb();

	load_open(load, N_WARM + N_IDLE);
	usleep(SETTLE_MS * 1000);
	kb = resident_kb() - kb;
	load_free(load);
	stop_gateway();
	return kb / N_IDLE;
}

static int compare(const void *a, const void *b)
{
	double difference = *(const double *)a - *(const double *)b;

	return (difference > 0) - (difference < 0);
}

static double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
	return (values[(n - 1) / 2] + values[n / 2]) / 2;
}

static void print(struct figures *all, size_t n_rounds)
{
	printf("%-12s %8s %17s %10s %14s\n", "round trip", "CPU us", "(least - most)", "x echo",
	       "per second");
	for (size_t kind = 0; kind < LOAD_KINDS; kind++) {
		struct figures *figures = &all[kind];
		double cpu_us = median(figures->cpu_us, n_rounds); /* sorts them */

		printf("%-12s %8.1f %8.1f -%7.1f %10.1f %14.0f\n", names[kind], cpu_us,
		       figures->cpu_us[0], figures->cpu_us[n_rounds - 1],
		       median(figures->ratio, n_rounds), median(figures->per_s, n_rounds));
	}
}

static void measure_all(unsigned ms, size_t n_rounds)
{
	struct figures all[LOAD_KINDS];

	start_gateway();
	for (size_t round = 0; round < n_rounds; round++) {
		for (size_t kind = 0; kind < LOAD_KINDS; kind++) {
			measure(kind, ms, &all[kind], round);
			all[kind].ratio[round] =
				all[kind].cpu_us[round] / all[LOAD_ECHO].cpu_us[round];
		}
	}
	stop_gateway();
	print(all, n_rounds);
	printf("\n%-12s %8s\n", "idle session", "KB");
	printf("%-12s %8.1f\n", names[LOAD_BOSH_HELD], measure_memory(LOAD_BOSH_HELD));
	printf("%-12s %8.1f\n", names[LOAD_WEBSOCKET], measure_memory(LOAD_WEBSOCKET));
}

static void measure_one(const char *name, unsigned seconds)
{
	struct figures figures;
	size_t kind = 0;

	while (kind < LOAD_KINDS && strcmp(names[kind], name) != 0) {
		kind++;
	}
	if (kind == LOAD_KINDS || seconds == 0) {
		die("there is no load '%s', or no time for it", name);
	}
	start_gateway();
	measure(kind, seconds * 1000, &figures, 0);
	stop_gateway();
	printf("%s: %.1f us, %.0f round trips per second\n", name, figures.cpu_us[0],
	       figures.per_s[0]);
}

int main(int argc, char **argv)
{
	int server, echo;
	clockid_t server_clock; /* unused: only the time of the gateway counts */
	unsigned seconds = 0;

	if (argc == 5 && strcmp(argv[2], "--only") == 0) {
		check(sscanf(argv[4], "%4u", &seconds) == 1, argv[4]);
	} else if (argc != 2 && (argc != 3 || strcmp(argv[2], "--quick") != 0)) {
		die("usage: roundtrip GATEWAY [--quick | --only LOAD SECONDS]");
	}
	gateway_path = argv[1];
	start_server(&server, &server_port, &server_clock);
	start_server(&echo, &echo_port, &echo_clock);
	write_config();
	if (argc == 5) {
		measure_one(argv[3], seconds);
	} else if (argc == 3) {
		measure_all(QUICK_MS, 1);
	} else {
		measure_all(ROUND_MS, N_ROUNDS_MAX);
	}
	return EXIT_SUCCESS;
}
