/* SPDX-License-Identifier: MIT */
#include "gateway/ops/session-list.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct inquiry;

/* What one worker is asked. */
struct part {
	struct message message;
	struct inquiry *inquiry;
	struct worker_env *env;
	struct session_list list;
	int r; /* -ENOMEM: the worker had no memory for the list */
	bool is_answered;
};

/* Lives until the last worker has answered, which may be after nobody waits any more. */
struct inquiry {
	pthread_mutex_t mutex;
	pthread_cond_t answered;
	/* Does what is asked, in the worker's thread. */
	void (*answer)(struct part *part);
	char name[SESSION_LOG_NAME_MAX + 1]; /* for a kick */
	struct address client;               /* likewise */
	bool is_found;                       /* likewise */
	unsigned n_references, n_awaited, n_parts;
	struct part parts[];
};

static int inquiry_new(struct worker_env *const *envs, unsigned n_workers,
		       void (*answer)(struct part *part), struct inquiry **ret_inquiry)
{
	struct inquiry *inquiry = calloc(1, sizeof(*inquiry) + n_workers * sizeof(struct part));
	pthread_condattr_t monotonic;

	if (!inquiry) {
		return -ENOMEM;
	}
	/* With glibc, none of these can fail. */
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_mutex_init(&inquiry->mutex, NULL);
	pthread_cond_init(&inquiry->answered, &monotonic);
	pthread_condattr_destroy(&monotonic);
	inquiry->answer = answer;
	inquiry->n_references = 1;
	inquiry->n_parts = n_workers;
	for (unsigned i = 0; i < n_workers; i++) {
		inquiry->parts[i].inquiry = inquiry;
		inquiry->parts[i].env = envs[i];
	}
	*ret_inquiry = inquiry;
	return 0;
}

/* Unlocks the mutex and gives up a reference. */
static void inquiry_unref(struct inquiry *inquiry)
{
	bool is_last = --inquiry->n_references == 0;

	pthread_mutex_unlock(&inquiry->mutex);
	if (!is_last) {
		return;
	}
	for (unsigned i = 0; i < inquiry->n_parts; i++) {
		session_list_deinit(&inquiry->parts[i].list);
	}
	pthread_cond_destroy(&inquiry->answered);
	pthread_mutex_destroy(&inquiry->mutex);
	free(inquiry);
}

static void finish(struct message *message, bool is_answered)
{
	struct part *part = CONTAINER_OF(message, struct part, message);
	struct inquiry *inquiry = part->inquiry;

	pthread_mutex_lock(&inquiry->mutex);
	part->is_answered = is_answered;
	inquiry->n_awaited--;
	pthread_cond_signal(&inquiry->answered);
	inquiry_unref(inquiry);
}

static void on_message(struct message *message, void *reader)
{
	struct part *part = CONTAINER_OF(message, struct part, message);

	(void)reader;
	part->inquiry->answer(part);
	finish(message, true);
}

static void on_drop(struct message *message)
{
	finish(message, false);
}

/* Asks the workers and waits for their answers. The mutex is locked afterwards, so that those that
 * come too late change nothing. */
static void inquiry_ask(struct inquiry *inquiry)
{
	struct timespec until;
	int r = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += SESSION_LIST_WAIT_MS / 1000;
	pthread_mutex_lock(&inquiry->mutex);
	for (unsigned i = 0; i < inquiry->n_parts; i++) {
		struct part *part = &inquiry->parts[i];

		part->message = (struct message){.handle = on_message, .drop = on_drop};
		if (mailbox_post(part->env->mailbox, &part->message) == 0) {
			inquiry->n_references++;
			inquiry->n_awaited++;
		}
	}
	while (inquiry->n_awaited && r == 0) {
		r = pthread_cond_timedwait(&inquiry->answered, &inquiry->mutex, &until);
	}
}

/* The list. */

static int append_row(struct session_list *list, const struct session_log *log)
{
	struct session_row row = {
		.transport = log->transport,
		.state = log->state,
		.client = *log->client,
		.worker = log->env->index,
		.age_ms = mono_diff_ms(worker_now(log->env), log->opened),
		.n_from_client = log->n_from_client,
		.n_to_client = log->n_to_client,
		.domain_at = list->texts.n,
	};
	const char *domain = log->owner->domain(log);

	memcpy(row.name, log->name, sizeof(row.name));
	int r = buffer_append(&list->texts, domain, strlen(domain) + 1);

	return r < 0 ? r : buffer_append(&list->rows, &row, sizeof(row));
}

static void write_list(struct part *part)
{
	const struct session_log *log;

	LIST_FOREACH(log, &part->env->sessions, in_worker) {
		if (part->r == 0) {
			part->r = append_row(&part->list, log);
		}
	}
}

/* Moves the rows of @part behind those of @list. */
static int add_part(struct session_list *list, struct part *part)
{
	size_t n_rows = part->list.rows.n / sizeof(struct session_row);
	struct session_row *rows = (void *)part->list.rows.data;

	for (size_t i = 0; i < n_rows; i++) {
		rows[i].domain_at += list->texts.n;
	}
	int r = part->r;

	if (r == 0) {
		r = buffer_append_sv(&list->texts, buffer_sv(&part->list.texts));
	}
	return r < 0 ? r : buffer_append_sv(&list->rows, buffer_sv(&part->list.rows));
}

/* The oldest first. */
static int compare_ages(const void *a_pointer, const void *b_pointer)
{
	const struct session_row *a = a_pointer;
	const struct session_row *b = b_pointer;

	return a->age_ms < b->age_ms ? 1 : a->age_ms > b->age_ms ? -1 : 0;
}

int session_list_read(struct worker_env *const *envs, unsigned n_workers,
		      struct session_list *ret_list)
{
	struct session_list list = {0};
	struct inquiry *inquiry;
	int r = inquiry_new(envs, n_workers, write_list, &inquiry);

	if (r < 0) {
		return r;
	}
	inquiry_ask(inquiry);
	for (unsigned i = 0; i < n_workers && r == 0; i++) {
		if (inquiry->parts[i].is_answered) {
			r = add_part(&list, &inquiry->parts[i]);
		} else {
			list.n_silent++;
		}
	}
	inquiry_unref(inquiry);
	if (r < 0) {
		session_list_deinit(&list);
		return r;
	}
	if (list.rows.n) {
		qsort(list.rows.data, session_list_count(&list), sizeof(struct session_row),
		      compare_ages);
	}
	*ret_list = list;
	return 0;
}

void session_list_deinit(struct session_list *list)
{
	buffer_deinit(&list->rows);
	buffer_deinit(&list->texts);
}

size_t session_list_count(const struct session_list *list)
{
	return list->rows.n / sizeof(struct session_row);
}

const struct session_row *session_list_row(const struct session_list *list, size_t index)
{
	return (const struct session_row *)(const void *)buffer_sv(&list->rows).data + index;
}

const char *session_list_domain(const struct session_list *list, const struct session_row *row)
{
	return buffer_sv(&list->texts).data + row->domain_at;
}

/* Kicks. */

static void end_session(struct part *part)
{
	const struct inquiry *inquiry = part->inquiry;
	struct session_log *log;
	struct failure failure;

	failure_set(&failure, FAILURE_KICKED, NULL);
	LIST_FOREACH(log, &part->env->sessions, in_worker) {
		if (strcmp(log->name, inquiry->name) == 0 &&
		    address_is_same_host(log->client, &inquiry->client)) {
			part->inquiry->is_found = true;
			log->owner->end(log, &failure);
			return;
		}
	}
}

static int kick(struct worker_env *env, const struct session_row *row)
{
	struct inquiry *inquiry;
	int r = inquiry_new(&env, 1, end_session, &inquiry);

	if (r < 0) {
		return r;
	}
	memcpy(inquiry->name, row->name, sizeof(row->name));
	inquiry->client = row->client;
	inquiry_ask(inquiry);
	enum session_kick result = !inquiry->parts[0].is_answered ? SESSION_KICK_E_SILENT
				 : inquiry->is_found              ? SESSION_KICK_DONE
								  : SESSION_KICK_E_UNKNOWN;

	inquiry_unref(inquiry);
	return (int)result;
}

int session_list_kick(struct worker_env *const *envs, unsigned n_workers, struct sv name,
		      const struct address *client)
{
	_cleanup_(session_list_deinit) struct session_list list = {0};
	const struct session_row *found = NULL;
	int r = session_list_read(envs, n_workers, &list);

	if (r < 0) {
		return r;
	}
	for (size_t i = 0; i < session_list_count(&list); i++) {
		const struct session_row *row = session_list_row(&list, i);

		if (!sv_eq(name, sv_from(row->name)) ||
		    (client && !address_is_same_host(client, &row->client))) {
			continue;
		}
		if (found) {
			return SESSION_KICK_E_AMBIGUOUS;
		}
		found = row;
	}
	if (found) {
		return kick(envs[found->worker], found);
	}
	return list.n_silent ? SESSION_KICK_E_SILENT : SESSION_KICK_E_UNKNOWN;
}
