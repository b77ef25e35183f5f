/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The bytes of one client's connection. Everything behind it (the HTTP reader, the WebSocket
 * server) uses this interface and does not know the socket.
 *
 * wire   one accepted connection: its descriptor, its peer, what waits to be sent. An idle wire
 *        costs its struct and nothing else: there is no buffer for receiving
 * hub    the wires of a worker: one edge-triggered epoll on the worker's loop, and one buffer that
 *        all wires peek into
 * user   who uses the wire now: a table of callbacks and a pointer
 * peek   bytes that have arrived, looked at without consuming them. They can still be given to
 *        somebody else, with the descriptor
 * fetch  the same with one system call less: the bytes leave the socket. Those that are not taken
 *        stay with the wire, in a buffer of its own that is freed when it is empty
 * take   consumes bytes that have been peeked at or fetched, without copying them
 * queue  what waits to be sent, and before it what was sent and its user wants to keep (`spent`)
 * linger closing so that the client can read the last answer: FIN, then what still arrives is
 *        discarded. A descriptor that is closed with unread bytes resets the connection
 *
 * Readiness is edge-triggered: `ready` is called once when something has arrived. A user that does
 * not read all of it calls wire_wake() when it wants to go on. Nothing needs to be switched off
 * while a user does not read, and a slow sender costs no wake-ups.
 *
 * A wire that is closed is freed after the callbacks of this iteration of the loop have run, so
 * wire_close() may be called from any callback, for any wire.
 *
 * A client that takes more than its share of the thread (common/turn.h) is served later, and in
 * small portions; what is large is read in portions of all, where there are others
 * (wire_portion()).
 *
 * TLS of the gateway's own listeners goes in here and nowhere else. A wire that expects TLS is
 * clear text until wire_handshake() is called for the first time, so that what comes ahead of TLS
 * can be read (a PROXY header). Once the handshake is complete, all that is said here holds for the
 * bytes inside TLS; to peek is to fetch.
 *
 * Not thread-safe: a wire belongs to the thread of its hub. wire_leave() and wire_join() move it.
 */
#include <openssl/ssl.h>
#include <sys/uio.h>
#include <uv.h>

#include "common/address.h"
#include "common/blob.h"
#include "common/sv.h"

struct budget;
struct turn;
struct wire;
struct helper;
struct wire_hub;

enum {
	/* The most that wire_peek() shows: a request head of the largest size with a body that is
	 * as large. */
	WIRE_PEEK_MAX = 32 * 1024,
	/* How long a lingering wire waits for the client to close, and how much it discards: a
	 * client that goes on sending must not keep the descriptor. */
	WIRE_LINGER_S = 2,
	/* How long the gateway waits for a client that reads nothing of what is still to be sent. A
	 * slow link must get the whole answer. */
	WIRE_DRAIN_S = 30,
	/* How long a lingering wire may take in all: a client that reads a little now and then must
	 * not keep the descriptor and the answer for ever. */
	WIRE_DRAIN_MAX_S = 600,
	WIRE_LINGER_MAX = 1024 * 1024,
	WIRE_PARTS_MAX = 4,
	/* Copying more than this costs more than the write that it could save. */
	WIRE_LATER_MAX = 16 * 1024,
	/* Room that a queue has beyond its bytes if there is memory for it: for the last words of a
	 * user that has none (a WebSocket's close frame). */
	WIRE_SPARE = 4,
	/* What wire_portion() returns. The most expensive bytes that a client can send take 50 ns
	 * each.
	 *
	 * Usually: with room for a stanza of 256 KB, the limit of many servers, with what is around
	 * it. One that is read whole need not be kept and joined, which is half of what it costs.
	 * At worst 14 ms, after which the client has had its share (common/turn.h). */
	WIRE_PORTION = 288 * 1024,
	/* While there are other clients (turn_is_watched()). Nearly all stanzas are smaller. Else
	 * one could hold up the others for 14 ms now and then, without ever being heavy; 0.4 ms. */
	WIRE_PORTION_WATCHED = 8 * 1024,
	/* For a client that takes more than its share. With what else they cost, 0.09 ms: a round
	 * trip of another client may wait for that twice. */
	WIRE_PORTION_SMALL = 1024,
	/* The longest deadline, in seconds. Nothing in the configuration waits longer for a
	 * client's bytes. */
	WIRE_DEADLINE_MAX = 24 * 3600,
};

enum wire_result {
	WIRE_OK,    /* there are bytes */
	WIRE_AGAIN, /* there is nothing now; `ready` tells */
	WIRE_ENDED, /* the client has closed its side, and all its bytes have been consumed */
	/* The connection cannot be used any more: the kernel says so, or bytes could not be sent
	 * and all that had arrived has been consumed. */
	WIRE_BROKEN,
};

/* What is known about a connection apart from its bytes, for the process or thread that takes over
 * its descriptor. */
struct wire_peer {
	struct address address;
	bool is_secure;  /* as wire_is_secure() */
	unsigned idle_s; /* as wire_idle() */
};

struct wire_callbacks {
	/* Bytes have arrived, or the client has closed its side (wire_is_hung_up()), or the
	 * connection broke. */
	void (*ready)(void *user);
	/* Bytes that had to wait were sent; wire_waiting() says what is left. NULL: not called. */
	void (*written)(void *user);
	/* The deadline of wire_set_deadline() has passed. */
	void (*late)(void *user);
	/* The first @n_sent bytes of @queue were sent. Returns how many of these the user no longer
	 * needs. It may keep all of a message that was sent in part. If the whole queue was sent,
	 * it must return @n_sent. Must not call back. May be NULL: then bytes are dropped when they
	 * are sent, and the queue when the connection breaks. With a callback the queue stays until
	 * the wire is closed, and what is sent on the broken connection joins it, so that the user
	 * can look at what was not sent. */
	size_t (*spent)(void *user, struct sv queue, size_t n_sent);
};

struct wire_hub_options {
	uv_loop_t *loop;
	/* A wire of @peer was closed. Not called for a wire that was given away (wire_leave(),
	 * wire_into_fd() without a pump). */
	void (*closed)(void *userdata, const struct address *peer);
	/* A wire of @peer is being closed that sent too many TLS messages without data
	 * (tls-controls.h). May be NULL. */
	void (*flooded)(void *userdata, const struct address *peer);
	/* Counts the answers that clients do not read (wire_send_blob()), or that wait for those
	 * before them (wire_set_kept()): a client may go on over other connections, and have some
	 * wait on each. Beyond it, connections break. Borrowed;
	 * NULL: they do not count. */
	struct budget *unread;
	unsigned owner; /* as in budget.h */
	/* An answer to @client (wire_set_payer()) is dropped for that, and its connection breaks.
	 * @is_for_all: as in budget.h. May be NULL. */
	void (*dropped)(void *userdata, const struct address *client, bool is_for_all);
	/* Whether those of @client count. May be NULL if `unread` is. */
	bool (*is_bounded)(void *userdata, const struct address *client);
	void *userdata;
	/* How long a second of a deadline lasts; 0: 1000. Tests shorten it. */
	unsigned second_ms;
	/* Decides whose `ready` is called first; borrowed. NULL: all are called at once. */
	struct turn *turn;
	/* Takes the steps of TLS handshakes with keys whose signatures take long; borrowed; only
	 * with a turn. NULL: all are taken in the loop. */
	struct helper *helper;
};

/* @options is copied. Returns 0 or a negative errno. */
_must_check_ int wire_hub_new(const struct wire_hub_options *options, struct wire_hub **ret_hub);

/* Closes the wires that are left, without telling their users, and the handles. Takes NULL. */
void wire_hub_close(struct wire_hub *hub);

/* Whether anything has happened on a wire that was not looked at yet. */
bool wire_hub_has_events(const struct wire_hub *hub);

/* Whether clients have sent something that the last iteration of the loop had no room for. Who has
 * not been heard may be among them. */
bool wire_hub_is_behind(struct wire_hub *hub);

/* Whether wires that linger still have something to be sent. */
bool wire_hub_has_last_bytes(const struct wire_hub *hub);

/* Seconds for which the loop has run, from an arbitrary start. While the process stands still, and
 * can hear nobody, they do not go on. */
uint32_t wire_hub_seconds(const struct wire_hub *hub);

/* Call it after wire_hub_close(), when the loop has no active handles left. Takes NULL; returns
 * NULL. */
struct wire_hub *wire_hub_free(struct wire_hub *hub);

/* Makes a wire that belongs to no hub yet. Takes ownership of the accepted, non-blocking socket @fd
 * of @peer; on failure it still belongs to the caller. Returns 0 or -ENOMEM. */
_must_check_ int wire_new(int fd, const struct address *peer, struct wire **ret_wire);

/* Likewise, for a connection that was given away with @peer (wire_describe()). */
_must_check_ int wire_new_again(int fd, const struct wire_peer *peer, struct wire **ret_wire);

struct wire_peer wire_describe(const struct wire *wire);

/* Puts @wire, which belongs to no hub, into @hub; its user is then told of what has arrived already
 * and of what will. Set a user first. Returns 0 or a negative errno; @wire is then as before. */
_must_check_ int wire_join(struct wire *wire, struct wire_hub *hub);

/* Takes @wire out of its hub, to move it to another thread's. Nothing may wait to be sent. Call it
 * from `ready` of this wire, or right after wire_join(), so that the hub does not meet it again.
 * The deadline goes on in the next hub, with the seconds that are left. */
void wire_leave(struct wire *wire);

/* Has @wire, from which nothing has been peeked at, speak TLS from the first wire_handshake() on.
 * Takes a reference to @context. Returns 0 or -ENOMEM. */
_must_check_ int wire_expect_tls(struct wire *wire, SSL_CTX *context);

/* Whether wire_handshake() has to be called. */
bool wire_expects_tls(const struct wire *wire);

/* Begins the handshake or goes on with it, for a wire in a hub; call it from `ready` until it
 * returns something else than WIRE_AGAIN. After WIRE_BROKEN, *ret_reason says why; it is static. */
_must_check_ enum wire_result wire_handshake(struct wire *wire, const char **ret_reason);

/* The TLS connection, for what was agreed upon; NULL: none. */
SSL *wire_ssl(const struct wire *wire);

/* Whether the client's bytes came over TLS: the wire's own, or as wire_set_secure() says. */
bool wire_is_secure(const struct wire *wire);

/* TLS has ended before the wire: at a proxy. */
void wire_set_secure(struct wire *wire);

/* @wire is one end of a pair of sockets whose other end is pumped in this process (wire_into_fd()):
 * the client's connection is counted already, so `closed` is not called for this one. It stays so
 * when the wire moves to another thread. */
void wire_set_silent(struct wire *wire);
bool wire_is_silent(const struct wire *wire);

/* How long the connection may be idle, for whoever uses it; 0: not set. */
unsigned wire_idle(const struct wire *wire);
void wire_set_idle(struct wire *wire, unsigned seconds);

/* Replaces the user. @callbacks is borrowed for as long as it is the user's. */
void wire_set_user(struct wire *wire, const struct wire_callbacks *callbacks, void *user);

/* Closes the connection at once; what waits is lost. The user is not called any more. Also for a
 * wire that belongs to no hub (`closed` is then not called). Takes NULL; returns NULL. */
struct wire *wire_close(struct wire *wire);

/* Sends what waits, then ends the connection as explained above. Takes the wire: the user is not
 * called any more. */
void wire_linger(struct wire *wire);

/* Gives the descriptor of the clear text to somebody else, with all that has not been consumed, and
 * frees the wire. Nothing may wait to be sent. With TLS, or if fetched bytes have not been taken,
 * the descriptor is one end of a pair of sockets, and the hub, which the wire must be in, pumps the
 * bytes between the other end and the connection as long as both are open; that costs two copies
 * more and two descriptors. The connection is still one of the hub, which calls `closed` at its
 * end. Returns the descriptor or a negative errno; the wire is then as before. */
_must_check_ int wire_into_fd(struct wire *wire);

/* The descriptor of @wire, which keeps it: another process can be given a duplicate. Close the wire
 * when it has one. Returns it, or -EBUSY if not all bytes are in the socket, as above. */
_must_check_ int wire_fd(const struct wire *wire);

/* What the part that decides who serves the connection notes about it; 0 at first. It stays with
 * the wire when that moves to another thread. */
uint32_t wire_note(const struct wire *wire);
void wire_set_note(struct wire *wire, uint32_t note);

const struct address *wire_peer(const struct wire *wire);

/* @peer is at the other end: the client that a proxy has named. For a wire that belongs to no
 * hub. */
void wire_set_peer(struct wire *wire, const struct address *peer);

/* Whether the client has closed its side, or the connection broke. Bytes may still be there. No
 * further event will come, so a user that reads must read until WIRE_ENDED. */
bool wire_is_hung_up(const struct wire *wire);

/* Shows up to @n_max bytes (at most WIRE_PEEK_MAX) that have arrived, without consuming them.
 * *ret_bytes points into the hub's buffer and is valid until the next peek of any wire. With fewer
 * than @n_max bytes there are no more now. */
_must_check_ enum wire_result wire_peek(struct wire *wire, size_t n_max, struct sv *ret_bytes);

/* Likewise, but reads what has arrived, behind what was fetched and not taken before. */
_must_check_ enum wire_result wire_fetch(struct wire *wire, size_t n_max, struct sv *ret_bytes);

/* Whether all that has not been taken is still in the socket: nothing has been fetched. */
bool wire_is_whole(const struct wire *wire);

/* Consumes @n bytes, no more than were peeked at or fetched. */
void wire_take(struct wire *wire, size_t n);

/* How many bytes a user that could go on should handle before it calls wire_wake(), so that others
 * get their turn. */
size_t wire_portion(const struct wire *wire);

/* Consumes up to @size bytes into @data. With fewer than @size bytes there are no more now. */
_must_check_ enum wire_result wire_read(struct wire *wire, char *data, size_t size,
					size_t *ret_n_read);

/* Sends @parts in one system call, after what waits. What the kernel does not accept is copied and
 * waits; the caller bounds that by wire_waiting(). On a broken connection the bytes are dropped,
 * and `ready` is called later. Returns 0 or -ENOMEM; then bytes are missing: close the wire. */
_must_check_ int wire_send(struct wire *wire, const struct iovec *parts, size_t n_parts);

/* Likewise, followed by @body, of which the wire keeps a reference instead of a copy while it
 * waits, so that clients that read slowly do not multiply a large answer. Takes the caller's
 * reference, also on failure; NULL: no body. At most WIRE_PARTS_MAX parts. */
_must_check_ int wire_send_blob(struct wire *wire, const struct iovec *parts, size_t n_parts,
				struct blob *body);

/* The answer that follows is for @payer, who stands behind the peer: a proxy, which uses the
 * connection for one client after the other. Holds until nothing waits any more. Returns 0 or
 * -ENOMEM. */
_must_check_ int wire_set_payer(struct wire *wire, const struct address *payer);

/* The user keeps answers of @n bytes, until those before them can be sent. They count like answers
 * of wire_send_blob() that wait. Returns 0, or -ENOMEM: close the wire. */
_must_check_ int wire_set_kept(struct wire *wire, size_t n);

/* As wire_send(), at the end of this iteration of the loop, in one write with all that is sent
 * until then. More than WIRE_LATER_MAX bytes, with nothing waiting, are sent at once. After -ENOMEM
 * nothing of @parts was sent, and the connection can be used. */
_must_check_ int wire_send_later(struct wire *wire, const struct iovec *parts, size_t n_parts);

/* Bytes that wait to be sent. */
size_t wire_waiting(const struct wire *wire);

/* The queue of a user that has `spent`. Valid until something is sent. */
struct sv wire_queue(const struct wire *wire);

/* Bytes of memory that the queue takes: it may be much longer than what is left in it. */
size_t wire_held(const struct wire *wire);

/* How many bytes of the queue were sent, or cannot be taken back: TLS has encrypted them. */
size_t wire_committed(const struct wire *wire);

/* Drops what follows the first @n bytes of the queue; @n is at least wire_committed(). */
void wire_withdraw(struct wire *wire, size_t n);

/* Calls `ready` after the loop has polled the next time, whether or not anything arrives. */
void wire_wake(struct wire *wire);

/* `late` is called @seconds from now, or up to a second later, and after `ready` if something has
 * arrived meanwhile. Replaces an earlier deadline; 0 clears it. For a wire that is in a hub. */
void wire_set_deadline(struct wire *wire, unsigned seconds);
