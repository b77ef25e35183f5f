/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Which worker of which server gets a connection. Private to front*.c.
 *
 * If its next request names a session of another server, that server gets it; if it names none, any
 * worker of the newest server. Within a server the connection goes to the worker that has the
 * session if it is the first one that is named, or if a row of requests were for that worker. So
 * the connections of a client are where its session is. Those of a proxy, which have the requests
 * of many clients, stay where they are, because to move a connection costs more than to pass on
 * its request.
 *
 * owner      the worker that has a session, and its server (bosh/sid.h)
 * successor  the server that has taken over from this one. This one is then retired: it opens no
 *            more sessions, and ends with its last one
 * door       the way to another server (process/door.h)
 * pass       to give a connection to another server
 * free       no answer is due on the connection, so that it can be given away now
 */
#include "gateway/front.h"

/* Has this worker read the requests on @wire, which belongs to no hub. @is_first: its first request
 * has not been judged by front_owner_first() yet. Takes @wire; if it cannot be served, that is
 * logged, and it is closed. */
void front_adopt(struct front *front, struct wire *wire, bool is_first);

/* Callbacks of the reader; @userdata is the front. */

/* `first` (http/reader.h): gives a connection away if it should be somewhere else. */
enum http_first front_owner_first(void *userdata, struct wire *wire, const struct http_head *head,
				  struct sv bytes, bool is_free);

/* `asks_always`: a proxy uses a connection for many clients, so that any of its requests may be for
 * another worker or, while an upgrade is under way, for another server. */
bool front_owner_asks_always(void *userdata);

/* `passes` (http/options.h). */
bool front_owner_passes(void *userdata);
