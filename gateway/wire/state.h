/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Internals of wires. Users include wire.h.
 *
 * hub.c       the hub: wires come and go, events, the loop
 * wire.c      what a wire sends, and its end
 * receive.c   what it receives
 * socket.c    its socket, when its user is called, and how much of it a turn reads
 * deadline.c  deadlines, in a wheel of seconds
 * handshake.c the beginning and the end of TLS
 * shake.c     a handshake that the helper takes
 * tls.c       bytes that go through TLS
 * unread.c    what is charged with answers that a client does not read
 * pump.c      a descriptor of the clear text, and the bytes between it and a wire with TLS
 */
#include <sys/epoll.h>
#include <sys/queue.h>

#include "common/buffer.h"
#include "common/due.h"
#include "common/helper.h"
#include "common/turn.h"
#include "gateway/tls-controls.h"
#include "gateway/wire/hello.h"
#include "gateway/wire/wire.h"
#include "policy/budget.h"

enum {
	WIRE_EVENTS = EPOLLIN | EPOLLRDHUP,
	/* A deadline stands in the slot of the second in which to look at it again. Most deadlines
	 * are replaced before that, which then costs one assignment. */
	WIRE_SLOTS = 128,
	/* Ticks for which `ready` goes ahead of `late`. Without a bound, a client that always sends
	 * would never be late. */
	WIRE_LATE_MAX = 2,
	/* A write of up to so many bytes at the end of an iteration does not wait for the wire's
	 * turn, and is charged with so many microseconds: the turn would make each small message
	 * dearer by a twentieth. There is no more than one for each message that was charged. */
	WIRE_SMALL = 4096,
	WIRE_SMALL_US = 3,
	/* RFC 8446, 5.1: the largest payload of a record. */
	WIRE_RECORD_MAX = 16384,
	/* Bytes that a record of TLS counts as at least. Those of a burst are read together; but a
	 * turn of a client whose records have a byte each, or none, must not take long. */
	WIRE_RECORD_COST = 64,
};

enum wire_shake_outcome {
	WIRE_SHAKE_MORE, /* the client has to send more; also at the beginning */
	WIRE_SHAKE_DONE,
	WIRE_SHAKE_FAILED,
};

/* A handshake whose steps run in the helper, because a signature takes long. OpenSSL reads and
 * writes memory; only the loop uses the socket. Between helper_add() and `done` of the job, the
 * helper has the SSL, the controls and the memory: nothing else may touch them. */
struct wire_shake {
	struct job job;
	struct turn_item item; /* charges the client's crowd, also after the wire is freed */
	struct helper *helper; /* borrowed */
	struct wire *wire;     /* NULL: it was closed; the job's `done` frees the tls */
	struct wire_tls *tls;
	BIO *in, *out; /* owned by the SSL */
	enum wire_shake_outcome outcome;
	const char *reason; /* why it failed; static */
};

/* What a wire has beside if it speaks TLS. */
struct wire_tls {
	SSL_CTX *context;         /* until the handshake begins */
	SSL *ssl;                 /* from then on */
	struct wire_shake *shake; /* owned; NULL: the loop takes the handshake, or it is over */
	/* Bytes that the client sent right after a handshake that the helper made, and that OpenSSL
	 * has not read yet: of a record that comes in two parts, it reads the second and nothing
	 * behind it. NULL: none. */
	BIO *early;
	struct tls_controls controls;
	struct hello hello;
	bool is_drained : 1;  /* the socket has no more bytes until the epoll says so */
	bool is_at_end : 1;   /* the socket has ended */
	bool wants_write : 1; /* reading goes on when the socket takes more */
	uint16_t n_committed; /* bytes of a record that is encrypted and not sent whole */
};

/* Between @outer, which speaks TLS, and @inner, one end of a pair of sockets. */
struct wire_pump {
	LIST_ENTRY(wire_pump) in_hub; /* or in the hub's list of dead pumps */
	struct wire_hub *hub;
	struct wire *outer, *inner; /* NULL: it has ended */
	bool is_input_over;         /* `outer` sends no more */
};

LIST_HEAD(wire_pumps, wire_pump);

/* Answers that wait. */
struct wire_unread {
	struct wire *wire;
	struct address payer;
	size_t n_kept; /* of wire_set_kept() */
	struct budget_charge charge;
};

struct wire {
	struct wire_hub *hub; /* NULL: it belongs to none */
	const struct wire_callbacks *callbacks;
	void *user;
	LIST_ENTRY(wire) in_hub; /* or in the hub's list of dead wires */
	LIST_ENTRY(wire) in_slot;
	struct due_item due;     /* `wakes`, or bytes are to be sent */
	struct due_item overdue; /* the deadline has passed */
	struct buffer ahead; /* what was fetched and not taken, without what the hub still has */
	struct turn_item turn;
	struct buffer out; /* the queue */
	size_t n_out_sent; /* bytes at its beginning that were sent and are kept */
	struct blob *tail; /* what waits behind `out`; NULL: nothing */
	size_t n_tail_sent;
	struct wire_tls *tls;       /* NULL: clear text */
	struct wire_unread *unread; /* the charge for an answer; NULL: none */
	struct address peer;
	int fd; /* -1: closed or given away */
	/* A tick; 0: there is none. Outside of a hub: the seconds that are left. */
	uint32_t deadline;
	uint32_t late_since; /* the tick in which the deadline has passed */
	uint32_t looked_at;  /* the tick of the slot that it is in; 0: in none */
	uint32_t n_discarded;
	uint32_t lingers_until; /* a tick */
	uint32_t note;          /* of wire_set_note() */
	uint16_t idle_s;
	bool is_hung_up : 1;
	bool wakes : 1;        /* `ready` is due */
	bool is_ready : 1;     /* `ready` is to be called when it has its turn */
	bool has_room : 1;     /* the kernel takes more: what waits is sent when it has its turn */
	bool is_late : 1;      /* `late` is due, unless a new deadline is set */
	bool is_over : 1;      /* `late` is to be called when it has its turn */
	bool wants_write : 1;  /* the epoll reports when the kernel takes more */
	bool has_sent_fin : 1; /* FIN is sent */
	bool is_broken : 1;    /* nothing can be sent any more */
	bool lacks_bytes : 1;  /* received bytes are missing: nothing can be read any more */
	bool copies : 1;       /* the kernel does not discard for this socket */
	bool is_secure : 1;    /* what wire_is_secure() says */
	bool is_silent : 1;    /* the hub's `closed` is not called for it */
};

LIST_HEAD(wires, wire);

struct wire_hub {
	struct wire_hub_options options;
	struct wires wires, dead;
	struct wires slots[WIRE_SLOTS];
	uint32_t tick; /* begins with 1 */
	int epoll_fd;
	bool is_behind; /* there may be more events than fit into one iteration */
	uv_poll_t poll;
	uv_timer_t timer;
	uv_check_t reap;
	struct due_queue due, overdue;
	struct wire_pumps pumps, dead_pumps;
	struct wire *fetcher; /* the wire of `fetched`; NULL: none */
	struct sv fetched;    /* what it has fetched and not taken, in `bytes` */
	char bytes[WIRE_PEEK_MAX];
	char record[WIRE_RECORD_MAX]; /* the one that is being written */
};

/* As recv(2) and sendmsg(2), without EINTR. */
ssize_t wire_receive(struct wire *wire, char *data, size_t size, int flags);
ssize_t wire_transmit(struct wire *wire, const struct iovec *parts, size_t n_parts);

/* Sets whether the epoll reports when the socket takes more. */
void wire_want_write(struct wire *wire, bool wants);

/* The wire is not in the hub any more; its memory stays until events that the epoll has already
 * reported have been passed over. */
void wire_bury(struct wire *wire);

/* Whether the helper has the handshake. */
static inline bool wire_is_lent(const struct wire *wire)
{
	return wire->tls && wire->tls->shake && wire->tls->shake->job.state != JOB_IDLE;
}

/* Has the hub's helper take the steps of the handshake that @wire is about to begin. Returns 0 or
 * -ENOMEM. */
_must_check_ int wire_shake_begin(struct wire *wire);

/* Goes on with it: sends what the helper has written, and gives it what has arrived. WIRE_OK: the
 * handshake is complete, and everything is sent. *ret_reason as that of wire_handshake(). */
_must_check_ enum wire_result wire_shake_on(struct wire *wire, const char **ret_reason);

/* Ends the helper's part, when the handshake is complete. Keeps bytes that have arrived with its
 * end (wire_tls::early). */
void wire_shake_end(struct wire_tls *tls);

/* Describes why the handshake failed: @r is what OpenSSL returned, @error an errno or 0. The text
 * is static. */
const char *wire_tls_reason(const struct wire_tls *tls, int r, int error);

/* Reads bytes that OpenSSL will read next. Returns whether the client may send more than OpenSSL
 * should have to make room for. */
bool wire_tls_has_large_hello(struct wire_tls *tls, const char *data, size_t n);

/* Frees @tls, or has the helper free it when its step is over. Takes NULL; returns NULL. */
struct wire_tls *wire_tls_free(struct wire_tls *tls);

/* Moves what @wire has fetched and not taken from its hub's buffer to `ahead`. */
void wire_settle(struct wire *wire);
/* Drops what @wire has fetched and not taken. */
void wire_forget_ahead(struct wire *wire);

/* Consumes up to @n bytes of the socket. Returns as recv(2). */
ssize_t wire_discard(struct wire *wire, size_t n);

/* The wire's socket for OpenSSL. Returns NULL without memory. */
BIO *wire_bio_new(struct wire *wire);

/* @r is what an operation of OpenSSL returned. Empties OpenSSL's error queue. */
enum wire_result wire_tls_result(struct wire *wire, int r);

/* Reads up to @size bytes from inside TLS. With fewer than @size there are no more now. */
enum wire_result wire_tls_receive(struct wire *wire, char *data, size_t size, size_t *ret_n);

/* Returns how many bytes OpenSSL has taken; those that follow have to be given again, in the same
 * order. */
size_t wire_tls_transmit(struct wire *wire, const struct iovec *parts, size_t n_parts,
			 bool *ret_is_broken);

/* Sends close_notify. Returns false if it has to wait for the socket; then to be called again. */
bool wire_tls_end(struct wire *wire);

/* Whether the client sends too many TLS messages without data. */
bool wire_tls_is_flooded(const struct wire *wire);

/* Whether there are, or may be, bytes that the epoll does not report. */
bool wire_tls_has_bytes(const struct wire *wire);

/* Charges the hub's budget with answers that wait: @n_queue bytes here, and @n_kept with the user.
 * @evict is for a charge that has to go. Returns 0 or -ENOMEM. */
_must_check_ int wire_charge(struct wire *wire, size_t n_queue, size_t n_kept,
			     void (*evict)(struct budget_charge *charge));
/* The queue is empty: only what the user keeps is charged. May run twice. */
void wire_charge_sent(struct wire *wire);
/* Gives the whole charge back. May run twice. */
void wire_release_charge(struct wire *wire);

/* Whether @wire, which is in a hub, takes more than its share. */
static inline bool wire_is_pressed(const struct wire *wire)
{
	const struct turn *turn = wire->hub->options.turn;

	return turn && turn_is_pressed(turn, &wire->turn);
}

/* Cancels the turn for which @wire waits, if it does. */
static inline void wire_skip_turn(struct wire *wire)
{
	if (wire->hub->options.turn) {
		turn_remove(wire->hub->options.turn, &wire->turn);
	}
	wire->is_ready = wire->has_room = wire->is_over = false;
}

/* Sends what waits. Returns whether anything was sent. */
bool wire_flush(struct wire *wire);

/* A second has passed: wires whose deadline has come are added to the queue of overdue ones. */
void wire_deadline_tick(struct wire_hub *hub);

void wire_deadline_forget(struct wire *wire);

/* The seconds until the deadline, at least one; 0: there is none. */
uint32_t wire_deadline_left(const struct wire *wire);
