/* SPDX-License-Identifier: MIT */
#include "gateway/process/supervisor.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/mono.h"
#include "gateway/process/binder.h"
#include "gateway/process/children.h"
#include "gateway/process/log-follow.h"
#include "gateway/process/notify.h"

enum {
	/* Reports that every worker runs: often enough for a log of the hang to be of use, and not
	 * so often that they are work. */
	ALIVE_MAX_MS = 1000,
	ALIVE_MIN_MS = 10,
};

struct supervisor {
	struct sockets *sockets;
	struct children children;
	int signals;
	int64_t watchdog_ms;
	struct mono watchdog_due;
	bool is_alive; /* the serving one has said so since the last WATCHDOG=1 */
	bool reload_is_wanted, is_reloading;
	bool upgrade_is_wanted; /* as soon as the configuration has been reloaded */
	struct log_follow log;
	unsigned n_stops; /* SIGTERM and SIGINT so far */
	int status;
};

/* Signals. */

static void reload(struct supervisor *supervisor)
{
	struct child *server = children_find(&supervisor->children, CHILD_SERVING);

	if (supervisor->n_stops) {
		return;
	}
	if (!server || supervisor->is_reloading ||
	    children_find(&supervisor->children, CHILD_STARTING)) {
		supervisor->reload_is_wanted = true;
		return;
	}
	supervisor->reload_is_wanted = false;
	supervisor->is_reloading = true;
	notify_reloading();
	child_order(server, CONTROL_RELOAD);
}

static void refuse_upgrade(const char *reason)
{
	log_error("upgrade-failed", LOG_STR("reason", reason));
}

static void upgrade(struct supervisor *supervisor)
{
	if (children_find(&supervisor->children, CHILD_STARTING)) {
		refuse_upgrade("a server is starting already");
		return;
	}
	supervisor->upgrade_is_wanted = supervisor->is_reloading;
	if (supervisor->is_reloading) {
		return;
	}
	if (supervisor->children.n >= SUPERVISOR_SERVERS_MAX) {
		refuse_upgrade("too many earlier servers still have sessions");
		return;
	}
	log_info("upgrading", LOG_NUMBER("servers", supervisor->children.n));
	notify_reloading();
	int r = children_start(&supervisor->children, clock_now());

	if (r < 0) {
		refuse_upgrade(strerror(-r));
		notify_send("READY=1");
	}
}

/* Nothing is accepted from here on. The servers close their own duplicates of the sockets. */
static void stop(struct supervisor *supervisor)
{
	if (supervisor->n_stops++ == 0) {
		notify_send("STOPPING=1");
		children_dismiss(&supervisor->children);
		sockets_close(supervisor->sockets);
		children_order(&supervisor->children, CONTROL_DRAIN);
	} else {
		children_order(&supervisor->children, CONTROL_STOP);
	}
}

static int exit_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

static void on_ended(struct supervisor *supervisor, struct child *server, int status)
{
	enum child_state state = server->state;
	bool is_late = server->is_late;

	if (state != CHILD_DISMISSED) {
		child_log_ended(server, status, supervisor->n_stops || state == CHILD_RETIRED);
	}
	children_remove(&supervisor->children, server);
	if (state == CHILD_DISMISSED) {
		return;
	}
	if (supervisor->n_stops) {
		supervisor->status = supervisor->status ? supervisor->status : exit_status(status);
	} else if (state == CHILD_STARTING && children_find(&supervisor->children, CHILD_SERVING)) {
		sockets_abort(supervisor->sockets);
		refuse_upgrade(is_late ? "the new server did not start in time"
				       : "the new server did not start");
		notify_send("READY=1");
	} else if (state != CHILD_RETIRED) {
		/* The service manager starts a program again that has failed. */
		supervisor->status = exit_status(status) ? exit_status(status) : EXIT_FAILURE;
		if (supervisor->children.n) {
			/* The sessions of the earlier servers end in order. */
			stop(supervisor);
		}
	}
	if (supervisor->reload_is_wanted) {
		reload(supervisor);
	}
}

/* Returns the process id of a child that has ended; otherwise 0 or less. */
static pid_t next_ended(int *ret_status)
{
	pid_t pid;

	/* No other signal would tell of a child that was not asked for. */
	do {
		pid = waitpid(-1, ret_status, WNOHANG);
	} while (pid < 0 && errno == EINTR);
	return pid;
}

static void reap(struct supervisor *supervisor)
{
	int status;
	pid_t pid;

	/* Process 1 of a container also gets the children of others. */
	while ((pid = next_ended(&status)) > 0) {
		struct child *server = children_find_pid(&supervisor->children, pid);

		if (server) {
			on_ended(supervisor, server, status);
		}
	}
}

static void on_signal(struct supervisor *supervisor, int number)
{
	switch (number) {
	case SIGHUP:
		reload(supervisor);
		break;
	case SIGUSR1:
		children_order(&supervisor->children, CONTROL_COUNT);
		break;
	case SIGUSR2:
		if (!supervisor->n_stops) {
			upgrade(supervisor);
		}
		break;
	case SIGCHLD:
		reap(supervisor);
		break;
	default:
		log_info("stopping", LOG_STR("signal", strsignal(number)));
		stop(supervisor);
		break;
	}
}

static void read_signals(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;

	while (read(supervisor->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		on_signal(supervisor, (int)info.ssi_signo);
	}
}

/* Reports. */

static void on_ready(struct supervisor *supervisor, struct child *server)
{
	struct child *before = children_find(&supervisor->children, CHILD_SERVING);

	if (server->state != CHILD_STARTING) {
		return;
	}
	server->state = CHILD_SERVING;
	if (before) {
		before->state = CHILD_RETIRED;
		child_order(before, CONTROL_RETIRE);
		log_info("upgraded", LOG_NUMBER("generation", server->generation),
			 LOG_NUMBER("pid", (unsigned long)server->pid));
	}
	notify_send("READY=1");
	if (supervisor->reload_is_wanted) {
		reload(supervisor);
	}
}

static void on_reloaded(struct supervisor *supervisor)
{
	supervisor->is_reloading = false;
	log_follow_reopen(&supervisor->log, clock_now());
	notify_send("READY=1");
	if (supervisor->reload_is_wanted) {
		reload(supervisor);
	} else if (supervisor->upgrade_is_wanted && !supervisor->n_stops) {
		upgrade(supervisor);
	}
}

static void on_report(struct supervisor *supervisor, struct child *server,
		      const struct control_message *message)
{
	switch ((enum control_kind)message->kind) {
	case CONTROL_READY:
		log_follow_obey(&supervisor->log, message, clock_now());
		on_ready(supervisor, server);
		break;
	case CONTROL_RELOADED:
		on_reloaded(supervisor);
		break;
	case CONTROL_ALIVE:
		supervisor->is_alive |= server->state == CHILD_SERVING;
		break;
	default:
		break;
	}
}

/* A server that reloads while the gateway stops waits for an answer, and obeys no order before. */
static void refuse_sockets(int fd, const struct control_message *question)
{
	const struct control_message refusal = {
		.kind = CONTROL_SOCKETS, .result = -ECANCELED, .question = question->question};

	if (question->kind == CONTROL_LISTEN) {
		(void)!control_send_patiently(fd, &refusal, NULL, 0);
	}
}

/* A server that is not heard any more ends, with its sessions: why must be known. SIGCHLD reports
 * one that has ended. */
static void stop_hearing(const struct child *server, int *fd, int r)
{
	if (r < 0 && r != -EPIPE && r != -ECONNRESET) {
		log_error("server-unheard", LOG_NUMBER("generation", server->generation),
			  LOG_STR("error", strerror(-r)));
	}
	close(*fd);
	*fd = -1;
}

/* Reads a report or a question. A server that breaks the protocol is not heard any more. */
static void read_server(struct supervisor *supervisor, struct child *server, int *fd)
{
	struct control_message message;
	int fds[CONTROL_FDS_MAX];
	size_t n_fds;
	int r = control_receive(*fd, &message, fds, &n_fds);

	if (r == CONTROL_EMPTY) {
		return;
	}
	if (control_is_delayed(r)) {
		log_warning("report-delayed", LOG_NUMBER("generation", server->generation),
			    LOG_STR("error", strerror(-r)));
		return;
	}
	if (r != CONTROL_RECEIVED) {
		stop_hearing(server, fd, r);
		return;
	}
	/* Servers have no descriptors for the supervisor. */
	control_close(fds, n_fds);
	if (fd == &server->control) {
		on_report(supervisor, server, &message);
	} else if (supervisor->n_stops) {
		refuse_sockets(*fd, &message);
	} else {
		/* What cannot be answered fails alone: the server does not wait for ever. */
		r = binder_answer(supervisor->sockets, *fd, &message);
		if (r < 0 && r != -EPIPE && r != -ECONNRESET) {
			log_warning("answer-failed", LOG_NUMBER("generation", server->generation),
				    LOG_STR("error", strerror(-r)));
		}
	}
}

/* The loop. */

static void check_start(struct supervisor *supervisor)
{
	struct child *server = children_find(&supervisor->children, CHILD_STARTING);

	if (server && child_count_start(server, clock_now()) &&
	    children_find(&supervisor->children, CHILD_SERVING)) {
		server->is_late = true;
		kill(server->pid, SIGKILL);
	}
}

static void feed_watchdog(struct supervisor *supervisor)
{
	if (!supervisor->watchdog_ms || !mono_reached(supervisor->watchdog_due, clock_now())) {
		return;
	}
	if (supervisor->is_alive || children_find(&supervisor->children, CHILD_STARTING)) {
		notify_send("WATCHDOG=1");
		supervisor->is_alive = false;
		supervisor->watchdog_due = mono_add_ms(clock_now(), supervisor->watchdog_ms);
	}
}

/* How long to wait at most; -1: for ever. Where WATCHDOG=1 is due, a report is waited for. */
static int turn_ms(struct supervisor *supervisor)
{
	bool is_starting = children_find(&supervisor->children, CHILD_STARTING) != NULL;
	int64_t left_ms = mono_diff_ms(supervisor->watchdog_due, clock_now());

	if (children_owe(&supervisor->children)) {
		return CHILDREN_RETRY_MS;
	}
	if (supervisor->watchdog_ms && left_ms > 0 && left_ms < 1000) {
		return (int)left_ms;
	}
	return supervisor->watchdog_ms || is_starting
		     ? CHILDREN_LOOK_MS
		     : log_follow_retry(&supervisor->log, clock_now());
}

/* Waits for signals, reports and questions, for at most a second where time matters. */
static void turn(struct supervisor *supervisor)
{
	struct pollfd polled[1 + 2 * SUPERVISOR_SERVERS_MAX] = {
		{.fd = supervisor->signals, .events = POLLIN}};
	struct child *server, *next;
	nfds_t n = 1;

	TAILQ_FOREACH(server, &supervisor->children.list, in_children) {
		polled[n++] = (struct pollfd){.fd = server->control, .events = POLLIN};
		polled[n++] = (struct pollfd){.fd = server->binder, .events = POLLIN};
	}
	if (poll(polled, n, turn_ms(supervisor)) < 0) {
		return;
	}
	n = 1;
	for (server = TAILQ_FIRST(&supervisor->children.list); server; server = next) {
		next = TAILQ_NEXT(server, in_children);
		if (polled[n++].revents) {
			read_server(supervisor, server, &server->control);
		}
		if (polled[n++].revents) {
			read_server(supervisor, server, &server->binder);
		}
	}
	/* Last, because it may remove servers from the list. */
	if (polled[0].revents) {
		read_signals(supervisor);
	}
	children_pay(&supervisor->children);
	check_start(supervisor);
	(void)log_follow_retry(&supervisor->log, clock_now());
	feed_watchdog(supervisor);
}

static int watch_signals(struct supervisor *supervisor)
{
	static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_LENGTH(numbers); i++) {
		sigaddset(&set, numbers[i]);
	}
	/* The servers inherit the mask, too: they take orders from the supervisor alone. A terminal
	 * and systemd send signals to all processes. */
	sigprocmask(SIG_BLOCK, &set, NULL);
	supervisor->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return supervisor->signals < 0 ? -errno : 0;
}

/* Takes the sockets of the service manager. */
static int take_given(struct supervisor *supervisor)
{
	char name[BIND_NAME_MAX];
	size_t n;
	int r = notify_sockets(&n);

	if (r < 0) {
		log_error("sockets-refused", LOG_NUMBER("max", NOTIFY_SOCKETS_MAX),
			  LOG_STR("hint", "the service manager passes more sockets than that"));
		return r;
	}
	for (size_t i = 0; i < n; i++) {
		notify_socket_name(i, sizeof(name), name);
		int result = sockets_give(supervisor->sockets, name, NOTIFY_FIRST_FD + (int)i);

		if (result < 0) {
			log_error("socket-refused", LOG_STR("name", name),
				  LOG_STR("error", strerror(-result)),
				  LOG_STR("hint", "it must be a listening stream socket"));
			r = result;
		}
	}
	return r;
}

/* How often the servers report, so that WATCHDOG=1 never waits for one. */
static unsigned alive_ms(int64_t watchdog_ms)
{
	if (watchdog_ms == 0) {
		return 0;
	}
	int64_t ms = watchdog_ms / 2;

	return (unsigned)(ms < ALIVE_MIN_MS ? ALIVE_MIN_MS : ms > ALIVE_MAX_MS ? ALIVE_MAX_MS : ms);
}

static int supervise(struct supervisor *supervisor)
{
	int r = watch_signals(supervisor);

	if (r == 0) {
		r = sockets_new(&supervisor->sockets);
	}
	if (r == 0) {
		r = take_given(supervisor);
	}
	supervisor->watchdog_ms = notify_watchdog_ms();
	supervisor->children.alive_ms = alive_ms(supervisor->watchdog_ms);
	supervisor->watchdog_due = mono_add_ms(clock_now(), supervisor->watchdog_ms);
	notify_forget();
	if (r == 0) {
		r = log_follow_start(&supervisor->log);
	}
	if (r == 0) {
		r = children_start(&supervisor->children, clock_now());
	}
	while (r == 0 && supervisor->children.n) {
		turn(supervisor);
	}
	return r;
}

int supervisor_run(char *const *argv)
{
	struct supervisor supervisor = {.signals = -1};

	children_init(&supervisor.children, argv);
	int r = supervise(&supervisor);

	if (r < 0) {
		log_error("failed", LOG_STR("error", strerror(-r)));
	}
	log_stop();
	sockets_free(supervisor.sockets);
	if (supervisor.signals >= 0) {
		close(supervisor.signals);
	}
	return r < 0 ? EXIT_FAILURE : supervisor.status;
}
