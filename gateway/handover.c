/* SPDX-License-Identifier: MIT */
#include "gateway/handover.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct handover {
	struct message message;
	int fd;
	struct address peer;
	struct worker_env *env; /* for the census */
	handover_taken taken;
};

static void on_message(struct message *message, void *reader)
{
	struct handover *handover = CONTAINER_OF(message, struct handover, message);

	handover->taken(reader, handover->fd, &handover->peer);
	free(handover);
}

static void drop(struct message *message)
{
	struct handover *handover = CONTAINER_OF(message, struct handover, message);

	close(handover->fd);
	worker_leave_connection(handover->env, &handover->peer);
	free(handover);
}

int handover_post(struct mailbox *mailbox, int fd, const struct address *peer,
		  struct worker_env *env, handover_taken taken)
{
	struct handover *handover = malloc(sizeof(*handover));

	if (!handover) {
		return -ENOMEM;
	}
	*handover = (struct handover){
		.message = {.handle = on_message, .drop = drop},
		.fd = fd,
		.peer = *peer,
		.env = env,
		.taken = taken,
	};
	int r = mailbox_post(mailbox, &handover->message);

	if (r < 0) {
		free(handover);
	}
	return r;
}
