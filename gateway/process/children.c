/* SPDX-License-Identifier: MIT */
#include "gateway/process/children.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/log.h"
#include "gateway/process/launch.h"

void children_init(struct children *children, char *const *argv)
{
	*children = (struct children){.argv = argv};
	TAILQ_INIT(&children->list);
}

struct child *children_find_pid(struct children *children, pid_t pid)
{
	struct child *child;

	TAILQ_FOREACH(child, &children->list, in_children) {
		if (child->pid == pid) {
			return child;
		}
	}
	return NULL;
}

struct child *children_find(struct children *children, enum child_state state)
{
	struct child *child;

	TAILQ_FOREACH(child, &children->list, in_children) {
		if (child->state == state) {
			return child;
		}
	}
	return NULL;
}

/* Orders in which they are sent late, after the doors: a retired server passes connections on. */
static const enum control_kind late_orders[] = {CONTROL_RELOAD, CONTROL_COUNT, CONTROL_RETIRE,
						CONTROL_DRAIN, CONTROL_STOP};

static bool has_debts(const struct child *child)
{
	return child->control >= 0 &&
	       (child->debts.orders || child->debts.doors || child->debts.gone);
}

static void note_debt(struct child *child, enum control_kind kind, unsigned generation)
{
	struct child_debts *debts = &child->debts;

	switch (kind) {
	case CONTROL_DOOR:
		debts->doors |= control_bit(generation);
		break;
	case CONTROL_GONE:
		debts->doors &= ~control_bit(generation);
		debts->gone |= control_bit(generation);
		break;
	default:
		debts->orders |= UINT32_C(1) << kind;
		break;
	}
}

static int send_order(const struct child *child, enum control_kind kind, unsigned generation,
		      const int *fd)
{
	const struct control_message message = {.kind = kind, .generation = generation};

	return control_send(child->control, &message, fd, fd ? 1 : 0);
}

/* A child that is gone is reported by SIGCHLD. */
static void order_fd(struct child *child, enum control_kind kind, unsigned generation,
		     const int *fd)
{
	if (child->control < 0) {
		return;
	}
	/* None overtakes another. */
	if (!has_debts(child)) {
		const struct control_message message = {.kind = kind, .generation = generation};
		int r = control_send_patiently(child->control, &message, fd, fd ? 1 : 0);

		if (!control_may_retry(r)) {
			return;
		}
		log_warning("order-delayed", LOG_NUMBER("generation", child->generation),
			    LOG_STR("error", strerror(-r)));
	}
	note_debt(child, kind, generation);
}

static bool pay_gone(struct child *child)
{
	for (unsigned i = 0; child->debts.gone && i < CONTROL_GENERATIONS; i++) {
		if (child->debts.gone & control_bit(i)) {
			if (control_may_retry(send_order(child, CONTROL_GONE, i, NULL))) {
				return false;
			}
			child->debts.gone &= ~control_bit(i);
		}
	}
	return true;
}

/* Oldest first: the last door is that of the newest. */
static bool pay_doors(struct children *children, struct child *child)
{
	struct child *other;

	TAILQ_FOREACH(other, &children->list, in_children) {
		if (child->debts.doors & control_bit(other->generation)) {
			if (control_may_retry(send_order(child, CONTROL_DOOR, other->generation,
							 &other->door))) {
				return false;
			}
			child->debts.doors &= ~control_bit(other->generation);
		}
	}
	return true;
}

static void pay(struct children *children, struct child *child)
{
	if (!pay_gone(child) || !pay_doors(children, child)) {
		return;
	}
	for (size_t i = 0; i < ARRAY_LENGTH(late_orders); i++) {
		uint32_t order = UINT32_C(1) << late_orders[i];

		if (child->debts.orders & order) {
			if (control_may_retry(send_order(child, late_orders[i], 0, NULL))) {
				return;
			}
			child->debts.orders &= ~order;
		}
	}
}

bool children_owe(const struct children *children)
{
	const struct child *child;

	TAILQ_FOREACH(child, &children->list, in_children) {
		if (has_debts(child)) {
			return true;
		}
	}
	return false;
}

void children_pay(struct children *children)
{
	struct child *child;

	TAILQ_FOREACH(child, &children->list, in_children) {
		if (has_debts(child)) {
			pay(children, child);
		}
	}
}

void child_order(struct child *child, enum control_kind kind)
{
	order_fd(child, kind, 0, NULL);
}

void children_order(struct children *children, enum control_kind kind)
{
	struct child *child;

	TAILQ_FOREACH(child, &children->list, in_children) {
		child_order(child, kind);
	}
}

static void child_free(struct child *child)
{
	const int fds[] = {child->control, child->binder, child->door};

	control_close(fds, ARRAY_LENGTH(fds));
	free(child);
}

static void close_ends(const struct launch *launch)
{
	const int fds[] = {launch->control, launch->binder, launch->door};

	control_close(fds, ARRAY_LENGTH(fds));
}

/* Makes the pairs. What was made is the callers', also on failure. */
static int make_pairs(struct child *child, struct launch *launch)
{
	struct {
		int *ours, *theirs;
	} ends[] = {
		{&child->control, &launch->control},
		{&child->binder, &launch->binder},
		{&child->door, &launch->door},
	};
	int fds[2];
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_LENGTH(ends); i++) {
		r = control_pair(fds);
		if (r == 0) {
			*ends[i].ours = fds[0];
			*ends[i].theirs = fds[1];
		}
	}
	return r;
}

static bool is_taken(struct children *children, unsigned generation)
{
	struct child *child;

	TAILQ_FOREACH(child, &children->list, in_children) {
		if (child->generation == generation) {
			return true;
		}
	}
	return false;
}

/* There are more numbers than servers. */
static unsigned choose_generation(struct children *children)
{
	unsigned generation = children->next_generation;

	while (is_taken(children, generation)) {
		generation = (generation + 1) % CONTROL_GENERATIONS;
	}
	children->next_generation = (generation + 1) % CONTROL_GENERATIONS;
	return generation;
}

/* @child is not in the list yet. Before it serves, it learns where the sessions of the others are,
 * and they learn where its own will be: a client may open one at the new server and send its next
 * request on a connection that an earlier one has. */
static void introduce(struct children *children, struct child *child)
{
	struct child *other;

	TAILQ_FOREACH(other, &children->list, in_children) {
		order_fd(child, CONTROL_DOOR, other->generation, &other->door);
		order_fd(other, CONTROL_DOOR, child->generation, &child->door);
	}
}

int children_start(struct children *children, struct mono now)
{
	struct child *child = malloc(sizeof(*child));
	struct launch launch = {
		.control = -1, .binder = -1, .door = -1, .alive_ms = children->alive_ms};

	if (!child) {
		return -ENOMEM;
	}
	*child = (struct child){.control = -1, .binder = -1, .door = -1, .looked_at = now};
	int r = make_pairs(child, &launch);

	if (r == 0) {
		child->generation = launch.generation = choose_generation(children);
		child->pid = launch_start(&launch, children->argv);
		r = child->pid < 0 ? (int)child->pid : 0;
	}
	close_ends(&launch);
	if (r < 0) {
		child_free(child);
		return r;
	}
	introduce(children, child);
	TAILQ_INSERT_TAIL(&children->list, child, in_children);
	children->n++;
	return 0;
}

bool child_count_start(struct child *child, struct mono now)
{
	int64_t ms = mono_diff_ms(now, child->looked_at);

	child->looked_at = now;
	child->start_ms += ms < CHILDREN_LOOK_MS ? ms : CHILDREN_LOOK_MS;
	return child->start_ms >= (int64_t)CHILDREN_START_S * 1000;
}

void child_log_ended(const struct child *child, int status, bool is_told)
{
	if (WIFSIGNALED(status)) {
		int number = WTERMSIG(status);

		log_error("server-killed", LOG_NUMBER("generation", child->generation),
			  LOG_NUMBER("pid", (unsigned long)child->pid),
			  LOG_STR("signal", strsignal(number)),
			  LOG_STR("hint", number == SIGKILL && !child->is_late
						  ? "if memory ran out, the kernel's log says so"
						  : NULL));
		return;
	}
	int result = WEXITSTATUS(status);

	log_event(result || !is_told ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, "server-ended",
		  LOG_FIELDS(LOG_NUMBER("generation", child->generation),
			     LOG_NUMBER("pid", (unsigned long)child->pid),
			     LOG_NUMBER("status", (unsigned)result)));
}

void children_dismiss(struct children *children)
{
	struct child *child = children_find(children, CHILD_STARTING);

	if (child) {
		child->state = CHILD_DISMISSED;
		kill(child->pid, SIGKILL);
	}
}

void children_remove(struct children *children, struct child *child)
{
	struct child *other;

	TAILQ_REMOVE(&children->list, child, in_children);
	children->n--;
	TAILQ_FOREACH(other, &children->list, in_children) {
		order_fd(other, CONTROL_GONE, child->generation, NULL);
	}
	child_free(child);
}
