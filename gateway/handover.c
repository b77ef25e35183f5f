/* SPDX-License-Identifier: MIT */
#include "gateway/handover.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct handover_message {
	struct message message;
	struct wire *wire;
	struct worker_env *env; /* the sender's, for the shared census; NULL: it has no seat */
	handover_taken taken;
};

void handover_drop(struct worker_env *env, struct wire *wire)
{
	const struct address peer = *wire_peer(wire);
	bool has_seat = !wire_is_silent(wire);

	wire_close(wire);
	if (has_seat) {
		worker_leave_connection(env, &peer);
	}
}

static void on_message(struct message *message, void *reader)
{
	struct handover_message *handover = CONTAINER_OF(message, struct handover_message, message);

	handover->taken(reader, handover->wire);
	free(handover);
}

static void drop_message(struct message *message)
{
	struct handover_message *handover = CONTAINER_OF(message, struct handover_message, message);

	if (handover->env) {
		handover_drop(handover->env, handover->wire);
	} else {
		wire_close(handover->wire);
	}
	free(handover);
}

void handover_give(struct mailbox *mailbox, int fd, const struct wire_peer *peer,
		   handover_taken taken)
{
	struct handover_message *handover = calloc(1, sizeof(*handover));

	if (!handover || wire_new_again(fd, peer, &handover->wire) < 0) {
		close(fd);
		free(handover);
		return;
	}
	handover->message = (struct message){.handle = on_message, .drop = drop_message};
	handover->taken = taken;
	if (mailbox_post(mailbox, &handover->message) < 0) {
		drop_message(&handover->message);
	}
}

int handover_post(struct mailbox *mailbox, struct wire *wire, struct worker_env *env,
		  handover_taken taken)
{
	struct handover_message *handover = malloc(sizeof(*handover));

	if (!handover) {
		return -ENOMEM;
	}
	*handover = (struct handover_message){
		.message = {.handle = on_message, .drop = drop_message},
		.wire = wire,
		.env = env,
		.taken = taken,
	};
	wire_leave(wire);
	int r = mailbox_post(mailbox, &handover->message);

	if (r < 0 && wire_join(wire, env->hub) < 0) {
		drop_message(&handover->message);
		return 0;
	}
	if (r < 0) {
		free(handover);
	}
	return r;
}
