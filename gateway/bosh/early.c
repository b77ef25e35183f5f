/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdlib.h>

#include "gateway/bosh/session-state.h"

void bosh_early_clear(struct bosh_early *early)
{
	if (early->body) {
		bosh_body_deinit(early->body);
		free(early->body);
	}
	*early = (struct bosh_early){0};
}

struct bosh_early *bosh_early_find(struct bosh_session *session, uint64_t rid)
{
	for (size_t i = 0; i < session->n_early_places; i++) {
		if (session->early[i].body && session->early[i].rid == rid) {
			return &session->early[i];
		}
	}
	return NULL;
}

uint64_t bosh_early_highest(struct bosh_session *session)
{
	uint64_t rid = session->next_rid - 1;

	while (bosh_early_find(session, rid + 1)) {
		rid++;
	}
	return rid;
}

/* The window has as many rids as there are places. */
int bosh_early_put(struct bosh_session *session, uint64_t exchange, struct bosh_body *body, struct mono now)
{
	if (!session->early) {
		session->early = calloc(session->n_places, sizeof(*session->early));
		session->n_early_places = session->early ? session->n_places : 0;
	}
	for (size_t i = 0; i < session->n_early_places; i++) {
		struct bosh_early *early = &session->early[i];

		if (early->body) {
			continue;
		}
		early->body = malloc(sizeof(*early->body));
		if (!early->body) {
			return -ENOMEM;
		}
		*early->body = *body;
		body->payloads = BUFFER_INIT;
		body->text = BUFFER_INIT;
		early->rid = body->rid;
		early->exchange = exchange;
		early->received = now;
		return 0;
	}
	return -ENOMEM;
}
