/* SPDX-License-Identifier: MIT */
#include "gateway/process/binder.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "gateway/listener/bind.h"

/* The supervisor's end. */

static int answer_listen(struct sockets *sockets, int fd, const struct control_message *question)
{
	struct control_message answer = {.kind = CONTROL_SOCKETS, .question = question->question};
	struct bind_place place = question->place;
	struct sockets_found found = {0};

	place.name[BIND_NAME_MAX - 1] = '\0';
	answer.result = sockets_want(sockets, &place, question->n, &found);
	answer.is_given = found.are_given;
	size_t n_sent = 0;
	int r;

	do {
		size_t n = found.n_fds - n_sent;
		size_t n_now = n < CONTROL_FDS_MAX ? n : CONTROL_FDS_MAX;
		const int *fds = n_now ? found.fds + n_sent : NULL;

		answer.n = (uint32_t)(n - n_now);
		r = control_send_patiently(fd, &answer, fds, n_now);
		n_sent += n_now;
	} while (r == 0 && n_sent < found.n_fds);
	return r;
}

int binder_answer(struct sockets *sockets, int fd, const struct control_message *question)
{
	switch ((enum control_kind)question->kind) {
	case CONTROL_BEGIN:
		sockets_begin(sockets);
		break;
	case CONTROL_LISTEN:
		return answer_listen(sockets, fd, question);
	case CONTROL_COMMIT:
		sockets_commit(sockets);
		break;
	case CONTROL_ABORT:
		sockets_abort(sockets);
		break;
	default:
		break;
	}
	return 0;
}

/* The server's end. */

static int tell(int fd, enum control_kind kind)
{
	return control_send_patiently(fd, &(struct control_message){.kind = kind}, NULL, 0);
}

/* Takes the descriptors over, also on failure. */
static int keep(struct listening_address *address, const int *fds, size_t n)
{
	int *all = reallocarray(address->fds, address->n_fds + n, sizeof(*all));

	if (!all) {
		control_close(fds, n);
		return -ENOMEM;
	}
	memcpy(all + address->n_fds, fds, n * sizeof(*all));
	address->fds = all;
	address->n_fds += n;
	return 0;
}

/* Receives a part of the answer to the question with that number. What belongs to an earlier one,
 * the answer to which came too late, is thrown away. */
static int hear(int fd, uint32_t question, struct control_message *ret_message, int *ret_fds,
		size_t *ret_n_fds)
{
	for (;;) {
		struct pollfd polled = {.fd = fd, .events = POLLIN};
		int r = poll(&polled, 1, CONTROL_ANSWER_MS);

		if (r < 0 && errno == EINTR) {
			continue;
		}
		if (r <= 0) {
			return r < 0 ? -errno : -ETIMEDOUT;
		}
		r = control_receive(fd, ret_message, ret_fds, ret_n_fds);
		if (r == CONTROL_EMPTY) {
			continue;
		}
		if (r < 0) {
			return r;
		}
		if (r != CONTROL_RECEIVED) {
			return -EPIPE;
		}
		if (ret_message->question == question) {
			return 0;
		}
		control_close(ret_fds, *ret_n_fds);
	}
}

/* Asks for the sockets of @place. Sets *ret_is_given as CONTROL_SOCKETS says. */
static int ask(int fd, unsigned n_workers, const struct bind_place *place,
	       struct listening_address *address, bool *ret_is_given)
{
	static uint32_t n_questions;
	struct control_message message = {
		.kind = CONTROL_LISTEN, .n = n_workers, .place = *place, .question = ++n_questions};
	uint32_t question = message.question;
	int fds[CONTROL_FDS_MAX];
	size_t n;
	int r = control_send_patiently(fd, &message, NULL, 0);

	while (r == 0) {
		r = hear(fd, question, &message, fds, &n);
		if (r == 0) {
			r = message.result < 0 ? message.result : keep(address, fds, n);
		}
		if (r == 0 && message.n == 0) {
			*ret_is_given = message.is_given;
			return 0;
		}
	}
	return r;
}

/* The built-in default must work on a machine without IPv6, so its addresses may be skipped.
 * Addresses that the operator configured are required. */
static bool may_skip(const struct config *config, int r)
{
	return config->listens_by_default && (r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT);
}

/* Logs why @name cannot be listened on. Returns 0 if it may be skipped, else @r. */
static int on_not_bound(const struct config *config, const char *name, int r)
{
	if (may_skip(config, r)) {
		log_warning("listen-skipped", LOG_STR("address", name),
			    LOG_STR("error", strerror(-r)));
		return 0;
	}
	log_error("listen-failed", LOG_STR("address", name), LOG_STR("error", strerror(-r)),
		  LOG_STR("detail", bind_advice(r)));
	return r;
}

static void name_socket(int fd, char name[static BIND_NAME_MAX])
{
	struct sockaddr_storage storage = {0};
	socklen_t n = sizeof(storage);
	struct address address;
	char text[ADDRESS_TEXT_MAX];

	if (getsockname(fd, (struct sockaddr *)&storage, &n) < 0) {
		return;
	}
	if (address_from_sockaddr((struct sockaddr *)&storage, &address) == 0) {
		snprintf(name, BIND_NAME_MAX, "%s", address_format(&address, text));
	} else if (storage.ss_family == AF_UNIX) {
		const struct sockaddr_un *local = (const struct sockaddr_un *)&storage;

		snprintf(name, BIND_NAME_MAX, "unix:%.*s", (int)sizeof(local->sun_path),
			 local->sun_path);
	}
}

/* The last address has the given sockets: shows each under its own. */
static int spread(struct listening *listening)
{
	struct listening_address all = listening->addresses[--listening->n_addresses];
	size_t n = listening->n_addresses + all.n_fds;
	struct listening_address *each =
		reallocarray(listening->addresses, n, sizeof(*listening->addresses));

	listening->addresses = each ? each : listening->addresses;
	for (size_t i = 0; i < all.n_fds; i++) {
		int *fd = each ? malloc(sizeof(*fd)) : NULL;

		if (!fd) {
			close(all.fds[i]);
			continue;
		}
		*fd = all.fds[i];
		struct listening_address *address = &each[listening->n_addresses++];

		*address =
			(struct listening_address){.listener = all.listener, .fds = fd, .n_fds = 1};
		name_socket(*fd, address->name);
	}
	free(all.fds);
	return listening->n_addresses == n ? 0 : -ENOMEM;
}

static void fill_place(const struct config_listener *listener, bool may_be_given,
		       struct bind_place *place)
{
	static const enum bind_kind kinds[] = {
		[CONFIG_LISTENER_ADDRESS] = BIND_ADDRESS,
		[CONFIG_LISTENER_UNIX] = BIND_UNIX,
		[CONFIG_LISTENER_FD] = BIND_GIVEN,
	};
	const char *name = listener->path ? listener->path : listener->fd_name;

	*place = (struct bind_place){
		.kind = kinds[listener->kind],
		.address = listener->address,
		.mode = listener->mode,
		.has_group = listener->group != NULL,
		.gid = listener->gid,
		.backlog = listener->backlog,
		.receive_buffer = listener->receive_buffer,
		.send_buffer = listener->send_buffer,
		.may_be_given = may_be_given,
	};
	snprintf(place->name, sizeof(place->name), "%s", name ? name : "");
}

static size_t count_places(const struct config *config)
{
	return config->listeners.n + config->web.flash_listen.n + config->web.silverlight_listen.n;
}

/* The places that the configuration wants: those of HTTP, then those of plug-ins. */
static void place_at(const struct config *config, size_t i, struct listening_address *address,
		     struct bind_place *place)
{
	const struct config_listeners *listeners = &config->listeners;
	const struct config_web *web = &config->web;
	size_t n_flash = web->flash_listen.n;

	*address = (struct listening_address){.listener = (int)i};
	if (i < listeners->n) {
		fill_place(&listeners->list[i], i >= listeners->n - config->listen.n, place);
		snprintf(address->name, sizeof(address->name), "%s", listeners->list[i].name);
		return;
	}
	char text[ADDRESS_TEXT_MAX];

	i -= listeners->n;
	*place = (struct bind_place){
		.kind = BIND_ADDRESS,
		.address = i < n_flash ? web->flash_listen.list[i]
				       : web->silverlight_listen.list[i - n_flash],
		.backlog = LISTENING_PLUGIN_BACKLOG,
	};
	address->listener = LISTENING_PLUGIN;
	snprintf(address->name, sizeof(address->name), "%s", address_format(&place->address, text));
}

/* Tries all places, even after an error, so that the log names each one that cannot be bound. */
static int open_all(int fd, const struct config *config, struct listening *listening)
{
	size_t n = count_places(config);
	int r = 0;

	listening->addresses = calloc(n, sizeof(*listening->addresses));
	if (!listening->addresses) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		struct listening_address *address = &listening->addresses[listening->n_addresses];
		struct bind_place place;
		bool is_given = false;

		place_at(config, i, address, &place);
		int result = ask(fd, config->n_workers, &place, address, &is_given);

		if (result < 0) {
			result = on_not_bound(config, address->name, result);
		}
		listening->n_addresses += address->n_fds > 0;
		r = r < 0 ? r : result;
		if (is_given) {
			return r < 0 ? r : spread(listening);
		}
	}
	return r == 0 && listening->n_addresses == 0 ? -EADDRNOTAVAIL : r;
}

int binder_open(int fd, const struct config *config, struct listening *ret_listening)
{
	struct listening listening = {0};
	int r = tell(fd, CONTROL_BEGIN);

	if (r == 0) {
		r = open_all(fd, config, &listening);
	}
	if (r < 0) {
		listening_deinit(&listening);
		binder_commit(fd, false);
		return r;
	}
	*ret_listening = listening;
	return 0;
}

void binder_commit(int fd, bool is_used)
{
	/* A supervisor that is gone ends this process, too. */
	(void)!tell(fd, is_used ? CONTROL_COMMIT : CONTROL_ABORT);
}
