/* SPDX-License-Identifier: MIT */
/*
 * A library that is preloaded (LD_PRELOAD) and lets the n-th call of the C library fail: an
 * allocation, or a function that stands for a system call. It meets the calls of the program and of
 * all its libraries, except for those of the C library itself, whose allocations it meets, too.
 *
 * It is controlled at run time through a file that the driver (tests/support/faults.mjs) and all
 * processes of a gateway share; the environment variable FAULTS_CONTROL names it. It is mapped
 * before main(), so that a sandbox does not matter.
 *
 * role    which process: 0 is the supervisor, 1 + n the server of generation n, and ROLE_NEXT the
 *         server that is started next
 * call    which function, or group of functions: an index into CALLS
 * effect  what happens instead of the call: an errno, or one of enum effect
 * strike  one call that fails
 * round   a number of strikes, each of a call with a different call stack
 *
 * A strike only happens to a descriptor to which it could happen: no short read from an eventfd, no
 * EAGAIN from a socket that blocks. Calls that are not eligible are not counted.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unwind.h>

#define CALLS(X)          \
	X(memory)         \
	X(accept4)        \
	X(bind)           \
	X(chmod)          \
	X(close)          \
	X(connect)        \
	X(epoll_create)   \
	X(epoll_ctl)      \
	X(epoll_wait)     \
	X(eventfd)        \
	X(fcntl)          \
	X(fgets)          \
	X(fopen)          \
	X(fstat)          \
	X(getentropy)     \
	X(getpeername)    \
	X(getrandom)      \
	X(getrlimit)      \
	X(getsockname)    \
	X(getsockopt)     \
	X(glob)           \
	X(ioctl)          \
	X(listen)         \
	X(mmap)           \
	X(open)           \
	X(opendir)        \
	X(pipe2)          \
	X(poll)           \
	X(posix_spawn)    \
	X(prctl)          \
	X(pread)          \
	X(pthread_create) \
	X(read)           \
	X(recv)           \
	X(recvmsg)        \
	X(rename)         \
	X(send)           \
	X(sendfile)       \
	X(sendmsg)        \
	X(setrlimit)      \
	X(setsockopt)     \
	X(shutdown)       \
	X(signalfd)       \
	X(socket)         \
	X(socketpair)     \
	X(stat)           \
	X(syscall)        \
	X(unlink)         \
	X(waitpid)        \
	X(write)

enum call {
#define CALL_ENUM(name) CALL_##name,
	CALLS(CALL_ENUM)
#undef CALL_ENUM
		CALL_COUNT,
};

enum effect {
	EFFECT_NONE = 0,
	EFFECT_SHORT = -1, /* one byte is read or written */
	EFFECT_LATE = -2,  /* the call is made, but says that it was interrupted, as close(2) may */
	EFFECT_LEAK = -3,  /* the call is made, and a block of memory is lost */
	EFFECT_STOP = -4,  /* the call is made, after the process was stopped until SIGCONT */
};

enum {
	CALLS_MAX = 64,
	NAME_SIZE = 16,
	STACK_SIZE = 4096,
	ROLES = 1 + 64,
	ROLE_NEXT = ROLES,
	WATCHED_MAX = 65536,
	STACKS_MAX = 65536, /* a power of two */
	LEAK_SIZE = 40,
};

/* The driver knows this layout. */
struct slot {
	_Atomic int64_t n_blocks, n_bytes; /* that are allocated */
	_Atomic uint64_t n_calls[CALLS_MAX];
};

struct control {
	_Atomic uint32_t n_names;
	_Atomic uint32_t is_armed;
	_Atomic uint32_t role, call;
	_Atomic int32_t effect;
	_Atomic int32_t n_times;   /* strikes in a row */
	_Atomic int32_t countdown; /* the call that is the first to fail, from 1 */
	_Atomic uint32_t n_strikes;
	char names[CALLS_MAX][NAME_SIZE];
	char stack[STACK_SIZE]; /* of the first strike: a line for each frame, FILE+0xOFFSET */
	struct slot slots[ROLES];
	_Atomic uint32_t round; /* 0: the countdown tells which call is to fail */
};

static struct control *control;
static uint32_t role;
/* Calls of this library's own are neither counted nor struck. */
static _Thread_local bool is_inside;

#define REAL(name)                                                  \
	static __typeof__(name) *real;                              \
	if (!real) {                                                \
		real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name); \
	}

static _Unwind_Reason_Code record_frame(struct _Unwind_Context *context, void *userdata)
{
	size_t *n = userdata;
	/* One byte back: the address is where the call returns to. */
	const char *at = (const char *)_Unwind_GetIP(context) - 1;
	Dl_info info;

	if (*n < STACK_SIZE && dladdr(at, &info) && info.dli_fname) {
		size_t offset = (size_t)(at - (const char *)info.dli_fbase);
		int length = snprintf(control->stack + *n, STACK_SIZE - *n, "%s+0x%zx\n",
				      info.dli_fname, offset);

		*n += length > 0 ? (size_t)length : 0;
	}
	return _URC_NO_REASON;
}

/* The call stacks that have been struck, each mixed with the number of its round; 0: free. */
static _Atomic uint64_t struck[STACKS_MAX];

static _Unwind_Reason_Code hash_frame(struct _Unwind_Context *context, void *userdata)
{
	uint64_t *hash = userdata;

	*hash = (*hash ^ (uint64_t)_Unwind_GetIP(context)) * UINT64_C(0x9e3779b97f4a7c15);
	*hash ^= *hash >> 32;
	return _URC_NO_REASON;
}

/* Whether the stack of this call has not been struck in this round. Notes it. */
static bool is_stack_new(uint32_t round)
{
	uint64_t hash = round;

	_Unwind_Backtrace(hash_frame, &hash);
	hash |= 1;
	for (size_t i = 0; i < STACKS_MAX; i++) {
		_Atomic uint64_t *at = &struck[((hash >> 1) + i) % STACKS_MAX];
		uint64_t found = 0;

		if (atomic_compare_exchange_strong(at, &found, hash)) {
			return true;
		}
		if (found == hash) {
			return false;
		}
	}
	return false;
}

/* Whether this call, which is eligible, is to fail. */
static bool is_due(void)
{
	if (control->round) {
		int n_strikes = (int)control->n_strikes;

		return n_strikes ? n_strikes < control->n_times : is_stack_new(control->round);
	}
	int left = atomic_fetch_sub(&control->countdown, 1);

	return left <= 1 && left > 1 - control->n_times;
}

/* Descriptors that are watched with EPOLLET. */

static struct {
	bool is_edged;
	int epoll;
	struct epoll_event event;
} watched[WATCHED_MAX];

static void note_watched(int epoll, int op, int fd, const struct epoll_event *event)
{
	if (fd < 0 || fd >= WATCHED_MAX) {
		return;
	}
	watched[fd].is_edged = op != EPOLL_CTL_DEL && event && (event->events & EPOLLET);
	if (watched[fd].is_edged) {
		watched[fd].epoll = epoll;
		watched[fd].event = *event;
	}
}

/* Where a kernel reads less than there is, or nothing, more is yet to come, and is an event. */
static void renew_edge(int fd)
{
	if (fd >= 0 && fd < WATCHED_MAX && watched[fd].is_edged) {
		epoll_ctl(watched[fd].epoll, EPOLL_CTL_MOD, fd, &watched[fd].event);
	}
}

static bool is_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & O_NONBLOCK);
}

static bool is_stream(int fd)
{
	int type = 0;
	socklen_t size = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM;
}

/* Whether @effect can befall a call on @fd; -1: the call is on none. */
static bool is_eligible(int effect, int fd)
{
	struct stat status;

	if (fd < 0) {
		return true;
	}
	if (fstat(fd, &status) < 0) {
		return false;
	}
	bool is_file = S_ISREG(status.st_mode);
	bool is_socket = S_ISSOCK(status.st_mode);
	bool is_pipe = S_ISFIFO(status.st_mode);

	switch (effect) {
	case EFFECT_SHORT:
		return is_file || is_pipe || (is_socket && is_stream(fd));
	case EAGAIN:
		return (is_socket || is_pipe) && is_nonblocking(fd);
	case EIO:
	case ENOSPC:
		return is_file;
	case EPIPE:
	case ECONNRESET:
		/* At the other end of any other pipe or socket is the gateway itself. */
		return (is_socket && is_stream(fd)) || (is_pipe && fd <= STDERR_FILENO);
	case EINTR:
		return !is_file;
	default:
		return is_socket;
	}
}

/* Volatile, or the compiler leaves the allocation out. */
static void *volatile lost;

static void leak(void)
{
	lost = malloc(LEAK_SIZE);
	lost = NULL;
}

/* Counts a call on @fd (-1: none). Returns 0 if it is to be made, or what befalls it. */
static int strike(enum call call, int fd)
{
	int effect = EFFECT_NONE;
	int saved = errno;

	if (!control || is_inside) {
		return EFFECT_NONE;
	}
	is_inside = true;
	control->slots[role].n_calls[call]++;
	if (control->is_armed && control->role == role && control->call == call &&
	    is_eligible(control->effect, fd) && is_due()) {
		effect = control->effect;
		if (effect == EAGAIN || effect == EFFECT_SHORT) {
			renew_edge(fd);
		}
		if (atomic_fetch_add(&control->n_strikes, 1) == 0) {
			size_t n = 0;

			_Unwind_Backtrace(record_frame, &n);
		}
		if (effect == EFFECT_LEAK) {
			leak();
			effect = EFFECT_NONE;
		} else if (effect == EFFECT_STOP) {
			kill(getpid(), SIGSTOP);
			effect = EFFECT_NONE;
		}
	}
	is_inside = false;
	errno = effect > 0 ? effect : saved;
	return effect;
}

__attribute__((constructor)) static void start(void)
{
	static const char *const names[] = {
#define CALL_NAME(name) #name,
		CALLS(CALL_NAME)
#undef CALL_NAME
	};
	const char *path = getenv("FAULTS_CONTROL");
	const char *server = getenv("DOAB_SERVER"); /* PROTOCOL:GENERATION:... */

	is_inside = true;
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *mapped =
		fd < 0 ? MAP_FAILED
		       : mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (fd >= 0) {
		close(fd);
	}
	if (mapped != MAP_FAILED) {
		struct control *found = mapped;
		const char *generation = server ? strchr(server, ':') : NULL;

		role = generation ? 1 + (uint32_t)strtoul(generation + 1, NULL, 10) % (ROLES - 1)
				  : 0;
		memset(&found->slots[role], 0, sizeof(found->slots[role]));
		for (int i = 0; i < CALL_COUNT; i++) {
			snprintf(found->names[i], NAME_SIZE, "%s", names[i]);
		}
		found->n_names = CALL_COUNT;
		if (generation && found->is_armed && found->role == ROLE_NEXT) {
			found->role = role;
		}
		control = found;
	}
	is_inside = false;
}

/* Memory. */

static void *count(void *block)
{
	if (block && control && !is_inside) {
		control->slots[role].n_blocks++;
		control->slots[role].n_bytes += (int64_t)malloc_usable_size(block);
	}
	return block;
}

static void discount(void *block)
{
	if (block && control && !is_inside) {
		control->slots[role].n_blocks--;
		control->slots[role].n_bytes -= (int64_t)malloc_usable_size(block);
	}
}

void *malloc(size_t n)
{
	REAL(malloc)
	return strike(CALL_memory, -1) ? NULL : count(real(n));
}

void *calloc(size_t n, size_t n_one)
{
	REAL(calloc)
	return strike(CALL_memory, -1) ? NULL : count(real(n, n_one));
}

void *realloc(void *block, size_t n)
{
	REAL(realloc)
	/* What gets smaller is not moved, so that cannot fail. */
	if ((!block || n > malloc_usable_size(block)) && strike(CALL_memory, -1)) {
		return NULL;
	}
	discount(block);
	void *moved = real(block, n);

	(void)count(!moved && n ? block : moved);
	return moved;
}

void *reallocarray(void *block, size_t n, size_t n_one)
{
	size_t n_bytes;

	if (__builtin_mul_overflow(n, n_one, &n_bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return realloc(block, n_bytes);
}

void *memalign(size_t alignment, size_t n)
{
	REAL(memalign)
	return strike(CALL_memory, -1) ? NULL : count(real(alignment, n));
}

void *aligned_alloc(size_t alignment, size_t n)
{
	REAL(aligned_alloc)
	return strike(CALL_memory, -1) ? NULL : count(real(alignment, n));
}

int posix_memalign(void **ret_block, size_t alignment, size_t n)
{
	REAL(posix_memalign)
	if (strike(CALL_memory, -1)) {
		return ENOMEM;
	}
	int r = real(ret_block, alignment, n);

	(void)count(r == 0 ? *ret_block : NULL);
	return r;
}

void free(void *block)
{
	static void (*real)(void *block);
	/* The compiler believes that dlsym(3) does not call back. */
	static _Thread_local volatile bool is_looking;

	if (!real && is_looking) {
		return; /* dlsym(3) itself frees a message of earlier */
	}
	if (!real) {
		is_looking = true;
		real = (void (*)(void *))dlsym(RTLD_NEXT, "free");
		is_looking = false;
	}
	discount(block);
	real(block);
}

/* Calls that return -1, or what is said, and set errno. */

#define FAILING(call, type, name, failed, fd, parameters, arguments)        \
	type name parameters                                                \
	{                                                                   \
		REAL(name)                                                  \
		return strike(CALL_##call, fd) ? (failed) : real arguments; \
	}
#define P(...) (__VA_ARGS__)

FAILING(accept4, int, accept, -1, -1, P(int fd, struct sockaddr *to, socklen_t *n), P(fd, to, n))
FAILING(accept4, int, accept4, -1, -1, P(int fd, struct sockaddr *to, socklen_t *n, int flags),
	P(fd, to, n, flags))
FAILING(bind, int, bind, -1, -1, P(int fd, const struct sockaddr *to, socklen_t n), P(fd, to, n))
FAILING(chmod, int, chmod, -1, -1, P(const char *path, mode_t mode), P(path, mode))
FAILING(connect, int, connect, -1, fd, P(int fd, const struct sockaddr *to, socklen_t n),
	P(fd, to, n))
FAILING(epoll_create, int, epoll_create, -1, -1, P(int n), P(n))
FAILING(epoll_create, int, epoll_create1, -1, -1, P(int flags), P(flags))
FAILING(epoll_wait, int, epoll_wait, -1, -1, P(int fd, struct epoll_event *events, int n, int ms),
	P(fd, events, n, ms))
FAILING(epoll_wait, int, epoll_pwait, -1, -1,
	P(int fd, struct epoll_event *events, int n, int ms, const sigset_t *set),
	P(fd, events, n, ms, set))
FAILING(eventfd, int, eventfd, -1, -1, P(unsigned value, int flags), P(value, flags))
FAILING(fopen, FILE *, fopen, NULL, -1, P(const char *path, const char *mode), P(path, mode))
FAILING(fopen, FILE *, fopen64, NULL, -1, P(const char *path, const char *mode), P(path, mode))
FAILING(fopen, FILE *, fdopen, NULL, -1, P(int fd, const char *mode), P(fd, mode))
FAILING(fstat, int, fstat, -1, -1, P(int fd, struct stat *status), P(fd, status))
FAILING(fstat, int, fstat64, -1, -1, P(int fd, struct stat64 *status), P(fd, status))
FAILING(getentropy, int, getentropy, -1, -1, P(void *to, size_t n), P(to, n))
FAILING(getpeername, int, getpeername, -1, -1, P(int fd, struct sockaddr *to, socklen_t *n),
	P(fd, to, n))
FAILING(getrlimit, int, getrlimit64, -1, -1, P(__rlimit_resource_t what, struct rlimit64 *to),
	P(what, to))
FAILING(getsockname, int, getsockname, -1, -1, P(int fd, struct sockaddr *to, socklen_t *n),
	P(fd, to, n))
FAILING(getsockopt, int, getsockopt, -1, -1,
	P(int fd, int level, int option, void *value, socklen_t *n), P(fd, level, option, value, n))
FAILING(listen, int, listen, -1, -1, P(int fd, int n), P(fd, n))
FAILING(mmap, void *, mmap, MAP_FAILED, -1,
	P(void *at, size_t n, int protection, int flags, int fd, off_t offset),
	P(at, n, protection, flags, fd, offset))
FAILING(opendir, DIR *, opendir, NULL, -1, P(const char *path), P(path))
FAILING(pipe2, int, pipe2, -1, -1, P(int fds[2], int flags), P(fds, flags))
FAILING(poll, int, poll, -1, -1, P(struct pollfd *polled, nfds_t n, int ms), P(polled, n, ms))
FAILING(pread, ssize_t, pread64, -1, fd, P(int fd, void *to, size_t n, off64_t offset),
	P(fd, to, n, offset))
FAILING(rename, int, rename, -1, -1, P(const char *from, const char *to), P(from, to))
FAILING(sendfile, ssize_t, sendfile, -1, fd, P(int fd, int from, off_t *offset, size_t n),
	P(fd, from, offset, n))
FAILING(sendfile, ssize_t, sendfile64, -1, fd, P(int fd, int from, off64_t *offset, size_t n),
	P(fd, from, offset, n))
FAILING(setrlimit, int, setrlimit64, -1, -1, P(__rlimit_resource_t what, const struct rlimit64 *to),
	P(what, to))
FAILING(setsockopt, int, setsockopt, -1, -1,
	P(int fd, int level, int option, const void *value, socklen_t n),
	P(fd, level, option, value, n))
FAILING(shutdown, int, shutdown, -1, fd, P(int fd, int how), P(fd, how))
FAILING(signalfd, int, signalfd, -1, -1, P(int fd, const sigset_t *set, int flags),
	P(fd, set, flags))
FAILING(socket, int, socket, -1, -1, P(int domain, int type, int protocol),
	P(domain, type, protocol))
FAILING(socketpair, int, socketpair, -1, -1, P(int domain, int type, int protocol, int fds[2]),
	P(domain, type, protocol, fds))
FAILING(stat, int, stat, -1, -1, P(const char *path, struct stat *status), P(path, status))
FAILING(stat, int, stat64, -1, -1, P(const char *path, struct stat64 *status), P(path, status))
FAILING(stat, int, lstat64, -1, -1, P(const char *path, struct stat64 *status), P(path, status))
FAILING(unlink, int, unlink, -1, -1, P(const char *path), P(path))
FAILING(waitpid, pid_t, waitpid, -1, -1, P(pid_t pid, int *status, int options),
	P(pid, status, options))

/* Calls that return an errno. */

int glob64(const char *pattern, int flags, int (*on_error)(const char *, int), glob64_t *found)
{
	REAL(glob64)
	return strike(CALL_glob, -1) ? GLOB_NOSPACE : real(pattern, flags, on_error, found);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
		   void *argument)
{
	REAL(pthread_create)
	int effect = strike(CALL_pthread_create, -1);

	return effect ? effect : real(thread, attributes, run, argument);
}

int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
		 const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	REAL(posix_spawnp)
	int effect = strike(CALL_posix_spawn, -1);

	return effect ? effect : real(pid, file, actions, attributes, argv, envp);
}

/* Calls with arguments of any number. */

#define ARGUMENT(type, last)                \
	va_list list;                       \
	va_start(list, last);               \
	type argument = va_arg(list, type); \
	va_end(list)

#define CONTROLLING(call, name, type)                                           \
	int name(int fd, type what, ...)                                        \
	{                                                                       \
		ARGUMENT(long, what);                                           \
		REAL(name)                                                      \
		return strike(CALL_##call, -1) ? -1 : real(fd, what, argument); \
	}
CONTROLLING(fcntl, fcntl, int)
CONTROLLING(fcntl, fcntl64, int)
CONTROLLING(ioctl, ioctl, unsigned long)

#define OPENING(name)                                                            \
	int name(const char *path, int flags, ...)                               \
	{                                                                        \
		ARGUMENT(unsigned, flags);                                       \
		REAL(name)                                                       \
		return strike(CALL_open, -1) ? -1 : real(path, flags, argument); \
	}
OPENING(open)
OPENING(open64)

int __open64_2(const char *path, int flags);
FAILING(open, int, __open64_2, -1, -1, P(const char *path, int flags), P(path, flags))

int prctl(int option, ...);
int prctl(int option, ...)
{
	va_list list;
	long a[4];

	va_start(list, option);
	for (size_t i = 0; i < sizeof(a) / sizeof(a[0]); i++) {
		a[i] = va_arg(list, long);
	}
	va_end(list);
	REAL(prctl)
	return strike(CALL_prctl, -1) ? -1 : real(option, a[0], a[1], a[2], a[3]);
}

long syscall(long number, ...)
{
	va_list list;
	long a[6];

	va_start(list, number);
	for (size_t i = 0; i < sizeof(a) / sizeof(a[0]); i++) {
		a[i] = va_arg(list, long);
	}
	va_end(list);
	REAL(syscall)
	return strike(CALL_syscall, -1) ? -1 : real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* Calls that may do a part. */

#define PARTIAL(call, name, fd, parameters, arguments)       \
	ssize_t name parameters                              \
	{                                                    \
		REAL(name)                                   \
		int effect = strike(CALL_##call, fd);        \
		if (effect > 0) {                            \
			return -1;                           \
		}                                            \
		n = effect == EFFECT_SHORT && n > 1 ? 1 : n; \
		return real arguments;                       \
	}

ssize_t __read_chk(int fd, void *to, size_t n, size_t room);
ssize_t __recv_chk(int fd, void *to, size_t n, size_t room, int flags);
PARTIAL(getrandom, getrandom, -1, P(void *to, size_t n, unsigned flags), P(to, n, flags))
PARTIAL(read, read, fd, P(int fd, void *to, size_t n), P(fd, to, n))
PARTIAL(read, __read_chk, fd, P(int fd, void *to, size_t n, size_t room), P(fd, to, n, room))
PARTIAL(recv, recv, fd, P(int fd, void *to, size_t n, int flags), P(fd, to, n, flags))
PARTIAL(recv, __recv_chk, fd, P(int fd, void *to, size_t n, size_t room, int flags),
	P(fd, to, n, room, flags))
PARTIAL(recv, recvfrom, fd,
	P(int fd, void *to, size_t n, int flags, struct sockaddr *from, socklen_t *n_from),
	P(fd, to, n, flags, from, n_from))
PARTIAL(write, write, fd, P(int fd, const void *from, size_t n), P(fd, from, n))
PARTIAL(send, send, fd, P(int fd, const void *from, size_t n, int flags), P(fd, from, n, flags))
PARTIAL(send, sendto, fd,
	P(int fd, const void *from, size_t n, int flags, const struct sockaddr *to, socklen_t n_to),
	P(fd, from, n, flags, to, n_to))

/* One byte of @parts. */
static struct iovec first_byte(const struct iovec *parts, size_t n)
{
	size_t i = 0;

	while (i + 1 < n && parts[i].iov_len == 0) {
		i++;
	}
	return (struct iovec){.iov_base = n ? parts[i].iov_base : NULL,
			      .iov_len = n && parts[i].iov_len ? 1 : 0};
}

#define VECTORED(call, name)                                                                     \
	ssize_t name(int fd, const struct iovec *parts, int n)                                   \
	{                                                                                        \
		REAL(name)                                                                       \
		struct iovec first = first_byte(parts, (size_t)n);                               \
		int effect = strike(CALL_##call, fd);                                            \
		return effect > 0 ? -1 : effect == 0 ? real(fd, parts, n) : real(fd, &first, 1); \
	}
VECTORED(read, readv)
VECTORED(write, writev)

#define MESSAGING(call, name, type)                                                     \
	ssize_t name(int fd, type *message, int flags)                                  \
	{                                                                               \
		REAL(name)                                                              \
		struct iovec first = first_byte(message->msg_iov, message->msg_iovlen); \
		struct msghdr part = *message;                                          \
		int effect = strike(CALL_##call, fd);                                   \
		if (effect > 0) {                                                       \
			return -1;                                                      \
		}                                                                       \
		if (effect == EFFECT_SHORT) {                                           \
			part.msg_iov = &first;                                          \
			part.msg_iovlen = 1;                                            \
			return real(fd, &part, flags);                                  \
		}                                                                       \
		return real(fd, message, flags);                                        \
	}
MESSAGING(recvmsg, recvmsg, struct msghdr)
MESSAGING(sendmsg, sendmsg, const struct msghdr)

/* The rest. */

int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event)
{
	REAL(epoll_ctl)
	int r = real(epoll, op, fd, event);

	/* Only to add one takes memory, after it is known that it is not there. */
	if (r == 0 && op == EPOLL_CTL_ADD && strike(CALL_epoll_ctl, -1)) {
		int error = errno;

		real(epoll, EPOLL_CTL_DEL, fd, event);
		errno = error;
		return -1;
	}
	if (r == 0 && !is_inside) {
		note_watched(epoll, op, fd, event);
	}
	return r;
}

int close(int fd)
{
	REAL(close)
	bool is_struck = strike(CALL_close, -1) != 0;

	if (fd >= 0 && fd < WATCHED_MAX) {
		watched[fd].is_edged = false;
	}
	int r = real(fd);

	if (is_struck && r == 0) {
		errno = EINTR;
		return -1;
	}
	return r;
}

char *fgets(char *to, int n, FILE *file)
{
	REAL(fgets)
	if (strike(CALL_fgets, -1)) {
		file->_flags |= 0x20; /* for ferror(3) */
		return NULL;
	}
	return real(to, n, file);
}
