/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/srv.h"

#include <string.h>

static bool is_host(const char *host, size_t n)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789-_.";

	return n <= SRV_HOST_MAX && strspn(host, allowed) == n;
}

/* The target that a full set can best do without: worst priority, of those the last. */
static struct srv_target *set_worst(struct srv_set *set)
{
	struct srv_target *worst = &set->targets[0];

	for (size_t i = 1; i < set->n_targets; i++) {
		if (set->targets[i].priority >= worst->priority) {
			worst = &set->targets[i];
		}
	}
	return worst;
}

void srv_set_add(struct srv_set *set, const char *host, uint16_t priority, uint16_t weight,
		 uint16_t port)
{
	size_t n_host = strlen(host);
	struct srv_target *target;

	if (n_host && host[n_host - 1] == '.') {
		n_host--;
	}
	if (!is_host(host, strlen(host)) || (n_host && port == 0)) {
		return;
	}
	if (set->n_targets < SRV_TARGETS_MAX) {
		target = &set->targets[set->n_targets++];
	} else {
		target = set_worst(set);
		if (target->priority <= priority) {
			return;
		}
	}
	memcpy(target->host, host, n_host);
	target->host[n_host] = '\0';
	target->priority = priority;
	target->weight = weight;
	target->port = port;
}

/* Moves targets[from] to targets[to], to <= from; those between keep their order. */
static void target_move(struct srv_target *targets, size_t from, size_t to)
{
	struct srv_target moved = targets[from];

	memmove(&targets[to + 1], &targets[to], (from - to) * sizeof(*targets));
	targets[to] = moved;
}

/* Whether @a comes before @b as the draw wants them: by priority, weight 0 before the others, so
 * that such a target is only drawn when the number is 0. */
static bool target_precedes(const struct srv_target *a, const struct srv_target *b)
{
	if (a->priority != b->priority) {
		return a->priority < b->priority;
	}
	return a->weight == 0 && b->weight != 0;
}

static void targets_sort(struct srv_target *targets, size_t n_targets)
{
	for (size_t i = 1; i < n_targets; i++) {
		size_t to = i;

		while (to && target_precedes(&targets[i], &targets[to - 1])) {
			to--;
		}
		if (to != i) {
			target_move(targets, i, to);
		}
	}
}

/* The index of the target that is next among @n_targets of one priority. */
static size_t targets_draw(const struct srv_target *targets, size_t n_targets, srv_draw draw,
			   void *userdata)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n_targets; i++) {
		sum += targets[i].weight;
	}
	uint32_t drawn = draw(userdata, sum);
	uint32_t running = 0;
	size_t i = 0;

	for (; i + 1 < n_targets; i++) {
		running += targets[i].weight;
		if (running >= drawn) {
			break;
		}
	}
	return i;
}

void srv_order(struct srv_target *targets, size_t n_targets, srv_draw draw, void *userdata)
{
	size_t end;

	targets_sort(targets, n_targets);
	for (size_t start = 0; start < n_targets; start = end) {
		end = start + 1;
		while (end < n_targets && targets[end].priority == targets[start].priority) {
			end++;
		}
		for (size_t next = start; next + 1 < end; next++) {
			size_t chosen = targets_draw(&targets[next], end - next, draw, userdata);

			target_move(targets, next + chosen, next);
		}
	}
}

bool srv_not_offered(const struct srv_target *targets, size_t n_targets)
{
	for (size_t i = 0; i < n_targets; i++) {
		if (targets[i].host[0]) {
			return false;
		}
	}
	return n_targets > 0;
}
