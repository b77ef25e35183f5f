/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/dns/srv.h"

#include <assert.h>
#include <arpa/inet.h>
#include <string.h>

#include "common/sv.h"

static bool is_host(const char *host)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789-_.";
	struct in6_addr literal;

	return host[strspn(host, allowed)] == '\0' || inet_pton(AF_INET6, host, &literal) == 1;
}

static struct srv_target *set_find(struct srv_set *set, const struct srv_target *like)
{
	for (size_t i = 0; i < set->n_targets; i++) {
		struct srv_target *target = &set->targets[i];

		if (target->port == like->port && target->is_direct == like->is_direct &&
		    sv_eq_nocase(sv_from(target->host), sv_from(like->host))) {
			return target;
		}
	}
	return NULL;
}

/* The most dispensable target of a full set: the last of those with the worst priority. */
static struct srv_target *set_worst(struct srv_set *set)
{
	struct srv_target *worst = &set->targets[0];

	assert(set->n_targets > 0);
	for (size_t i = 1; i < set->n_targets; i++) {
		if (set->targets[i].priority >= worst->priority) {
			worst = &set->targets[i];
		}
	}
	return worst;
}

static void set_add(struct srv_set *set, const struct srv_target *target)
{
	struct srv_target *slot = set_find(set, target);

	if (!slot && set->n_targets < SRV_TARGETS_MAX) {
		set->targets[set->n_targets++] = *target;
		return;
	}
	if (!slot) {
		slot = set_worst(set);
	}
	if (target->priority < slot->priority) {
		*slot = *target;
	}
}

void srv_set_add(struct srv_set *set, const char *host, uint16_t priority, uint16_t weight,
		 uint16_t port)
{
	struct srv_target target = {.priority = priority, .weight = weight, .port = port};
	size_t n_host = strlen(host);

	if (n_host && host[n_host - 1] == '.') {
		n_host--;
	}
	if (n_host > SRV_HOST_MAX || (n_host && port == 0)) {
		return;
	}
	memcpy(target.host, host, n_host);
	if (is_host(target.host)) {
		set_add(set, &target);
	}
}

/* Adds the targets of one service. A "." adds nothing. */
static void set_add_service(struct srv_set *set, const struct dns_reply *reply, bool is_direct)
{
	for (size_t i = 0; reply && i < reply->n_records; i++) {
		struct srv_target target = reply->targets[i];

		target.is_direct = is_direct;
		target.is_authentic = reply->is_authentic;
		if (target.host[0]) {
			set_add(set, &target);
		}
	}
}

static enum resolver_result result_of(const struct dns_reply *reply)
{
	return reply ? reply->result : RESOLVER_FAILED;
}

static bool is_failure(enum resolver_result result)
{
	return result != RESOLVER_OK && result != RESOLVER_NO_NAME;
}

enum resolver_result srv_merge(const struct dns_reply *starttls, const struct dns_reply *direct,
			       struct srv_set *ret_set)
{
	ret_set->n_targets = 0;
	set_add_service(ret_set, starttls, false);
	set_add_service(ret_set, direct, true);
	if (ret_set->n_targets) {
		return RESOLVER_OK;
	}
	if (is_failure(result_of(starttls))) {
		return result_of(starttls);
	}
	if (is_failure(result_of(direct))) {
		return result_of(direct);
	}
	if (starttls->result == RESOLVER_OK) {
		srv_set_add(ret_set, "", 0, 0, 0);
	}
	return starttls->result;
}

/* Moves targets[from] to targets[to], where to <= from. Those between keep their order. */
static void target_move(struct srv_target *targets, size_t from, size_t to)
{
	struct srv_target moved = targets[from];

	assert(to <= from);
	memmove(&targets[to + 1], &targets[to], (from - to) * sizeof(*targets));
	targets[to] = moved;
}

/* Whether @a precedes @b when the draw begins: sorted by priority, then targets of weight 0 first,
 * so that they are only drawn with the number 0. */
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

/* Returns the index of the next target among @n_targets of equal priority. */
static size_t targets_draw(const struct srv_target *targets, size_t n_targets, srv_draw draw,
			   void *userdata)
{
	uint32_t sum = 0;

	assert(n_targets > 0);
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

bool srv_offers_nothing(const struct srv_target *targets, size_t n_targets)
{
	for (size_t i = 0; i < n_targets; i++) {
		if (targets[i].host[0]) {
			return false;
		}
	}
	return n_targets > 0;
}
