/* SPDX-License-Identifier: MIT */
#include "gateway/process/binder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "gateway/bind.h"

/* The supervisor's end. */

static void answer_listen(struct sockets *sockets, int fd, const struct control_message *question)
{
	struct control_message answer = {.kind = CONTROL_SOCKETS,
					 .is_given = sockets_are_given(sockets)};
	const int *fds;
	size_t n;

	answer.result = sockets_want(sockets, &question->address, question->n, &fds, &n);
	if (answer.result < 0) {
		n = 0;
	}
	do {
		size_t n_now = n < CONTROL_FDS_MAX ? n : CONTROL_FDS_MAX;

		n -= n_now;
		answer.n = (uint32_t)n;
		/* A server that is gone needs no answer. */
		if (control_send(fd, &answer, fds, n_now) < 0) {
			return;
		}
		fds += n_now;
	} while (n);
}

void binder_answer(struct sockets *sockets, int fd, const struct control_message *question)
{
	switch ((enum control_kind)question->kind) {
	case CONTROL_BEGIN:
		sockets_begin(sockets);
		break;
	case CONTROL_LISTEN:
		answer_listen(sockets, fd, question);
		break;
	case CONTROL_COMMIT:
		sockets_commit(sockets);
		break;
	case CONTROL_ABORT:
		sockets_abort(sockets);
		break;
	default:
		break;
	}
}

/* The server's end. */

static int tell(int fd, enum control_kind kind)
{
	return control_send(fd, &(struct control_message){.kind = kind}, NULL, 0);
}

/* Takes the descriptors over, also on failure. */
static int keep(struct listening_address *address, const int *fds, size_t n)
{
	int *all = reallocarray(address->fds, address->n_fds + n, sizeof(*all));

	if (!all) {
		for (size_t i = 0; i < n; i++) {
			close(fds[i]);
		}
		return -ENOMEM;
	}
	memcpy(all + address->n_fds, fds, n * sizeof(*all));
	address->fds = all;
	address->n_fds += n;
	return 0;
}

/* Asks for the sockets of @address->address. Sets *ret_is_given as CONTROL_SOCKETS says. */
static int ask(int fd, unsigned n_workers, struct listening_address *address, bool *ret_is_given)
{
	struct control_message message = {
		.kind = CONTROL_LISTEN, .n = n_workers, .address = address->address};
	int fds[CONTROL_FDS_MAX];
	size_t n;
	int r = control_send(fd, &message, NULL, 0);

	if (r < 0) {
		return r;
	}
	do {
		int result = control_receive(fd, &message, fds, &n);

		if (result < 0) {
			return result;
		}
		if (result != CONTROL_RECEIVED) {
			return -EPIPE;
		}
		result = message.result < 0 ? message.result : keep(address, fds, n);
		r = r < 0 ? r : result;
		/* All messages of the answer are read, so that the next question gets its own. */
	} while (message.n);
	*ret_is_given = message.is_given;
	return r;
}

/* The built-in default must work on a machine without IPv6, so its addresses may be skipped.
 * Addresses that the operator configured are required. */
static bool may_skip(const struct config *config, int r)
{
	return config->listens_by_default && (r == -EADDRNOTAVAIL || r == -EAFNOSUPPORT);
}

/* Logs why @address cannot be bound. Returns 0 if it may be skipped, else @r. */
static int on_not_bound(const struct config *config, const struct address *address, int r)
{
	char text[ADDRESS_TEXT_MAX];

	if (may_skip(config, r)) {
		log_warning("listen-skipped", LOG_STR("address", address_format(address, text)),
			    LOG_STR("error", strerror(-r)));
		return 0;
	}
	log_error("listen-failed", LOG_STR("address", address_format(address, text)),
		  LOG_STR("error", strerror(-r)), LOG_STR("detail", bind_advice(r)));
	return r;
}

/* The given sockets came as those of one address: shows each under its own. */
static int spread(struct listening *listening)
{
	struct listening_address all = listening->addresses[0];
	struct listening_address *each = calloc(all.n_fds, sizeof(*each));

	if (!each) {
		return -ENOMEM;
	}
	free(listening->addresses);
	listening->addresses = each;
	listening->n_addresses = all.n_fds;
	for (size_t i = 0; i < all.n_fds; i++) {
		struct sockaddr_storage storage = {0};
		socklen_t n = sizeof(storage);

		each[i].fds = malloc(sizeof(int));
		if (!each[i].fds) {
			close(all.fds[i]);
			continue;
		}
		each[i].fds[0] = all.fds[i];
		each[i].n_fds = 1;
		if (getsockname(all.fds[i], (struct sockaddr *)&storage, &n) == 0) {
			(void)!address_from_sockaddr((struct sockaddr *)&storage, &each[i].address);
		}
	}
	free(all.fds);
	return 0;
}

/* The addresses that the configuration wants: those of HTTP, then those of plug-ins. */
static const struct address *address_at(const struct config *config, size_t i)
{
	const struct config_web *web = &config->web;

	if (i < config->n_listen) {
		return &config->listen[i];
	}
	i -= config->n_listen;
	return i < web->flash_listen.n ? &web->flash_listen.list[i]
				       : &web->silverlight_listen.list[i - web->flash_listen.n];
}

/* Tries all addresses, even after an error, so that the log names each one that cannot be bound. */
static int open_all(int fd, const struct config *config, struct listening *listening)
{
	size_t n = config->n_listen + config->web.flash_listen.n + config->web.silverlight_listen.n;
	int r = 0;

	listening->addresses = calloc(n, sizeof(*listening->addresses));
	if (!listening->addresses) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		struct listening_address *address = &listening->addresses[listening->n_addresses];
		bool is_given = false;

		*address = (struct listening_address){.address = *address_at(config, i)};
		int result = ask(fd, config->n_workers, address, &is_given);

		if (result < 0) {
			result = on_not_bound(config, &address->address, result);
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
