/* SPDX-License-Identifier: MIT */
#include "gateway/config.h"

#include <assert.h>
#include <confuse.h>
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/writer.h"
#include "gateway/config-domain.h"
#include "gateway/config-list.h"
#include "gateway/config-text.h"
#include "gateway/config-value.h"

/* The ranges of numbers. They exclude values with which a mistyped digit would stop the service or
 * remove a protection. Sizes and counts are bounded by what one machine has. */
enum {
	WORKERS_MIN = 0,
	WORKERS_MAX = 256, /* threads; each has its own sockets, TLS context and resolver */
	/* RFC 6120, 13.12: an XMPP server must accept stanzas of 10000 bytes. A client that sends
	 * all but the last byte of a body makes each of its connections hold up to the maximum. */
	BODY_MIN = 10000,
	BODY_MAX = 16 * 1024 * 1024,
	STANZA_MIN = 10000,
	STANZA_MAX = 64 * 1024 * 1024,
	/* Up to that much is kept for each session of a client that has gone away. */
	PENDING_MIN = 4096,
	PENDING_MAX = 64 * 1024 * 1024,
	WAIT_MIN = 0,   /* 0: no request is held, all clients poll */
	WAIT_MAX = 600, /* after that, proxies and NAT have dropped the connection */
	HOLD_MIN = 1,   /* with 0 clients would have to poll */
	HOLD_MAX = 10,  /* each is a connection that other clients cannot use */
	/* A page that is reloaded must still find its session. The session of a page that is gone
	 * must not stay long. */
	INACTIVITY_MIN = 5,
	INACTIVITY_MAX = 3600,
	PAUSE_MIN = 0, /* 0: none */
	PAUSE_MAX = 3600,
	/* Milliseconds, 0: none. Users would notice more, because the client cannot use a request
	 * that is being held back. */
	LINGER_MIN = 0,
	LINGER_MAX = 1000,
	REPEATS_MIN = 1, /* networks fail */
	REPEATS_MAX = 1000,
	STREAMS_MIN = 1, /* 1: only the first */
	STREAMS_MAX = 16,
	POLLING_MIN = 0,
	POLLING_MAX = 60,
	PING_MIN = 0, /* 0: none */
	PING_MAX = 3600,
	/* Against slow headers: a client that sends a byte now and then holds a connection so
	 * long. */
	HEADER_TIMEOUT_MIN = 1,
	HEADER_TIMEOUT_MAX = 120,
	/* Milliseconds. A distant resolver needs some time. A dead one delays each session to a
	 * domain that is not cached by this much, then by twice and four times as much. */
	DNS_TIMEOUT_MIN = 50,
	DNS_TIMEOUT_MAX = 30000,
	DNS_TRIES_MIN = 1,
	DNS_TRIES_MAX = 10,
	/* A domain whose addresses drop all packets keeps a session half open so long. */
	CONNECT_TIMEOUT_MIN = 1,
	CONNECT_TIMEOUT_MAX = 120,
	OPEN_TIMEOUT_MIN = 1,
	OPEN_TIMEOUT_MAX = 600,
	KEEPALIVE_MIN = 0, /* 0: none */
	KEEPALIVE_MAX = 3600,
	/* Each session needs 10 KB and up to three descriptors. */
	PLACES_MIN = 1,
	PLACES_MAX = 1000000,
	LOGIN_BYTES_MIN = 65536,
	LOGIN_BYTES_MAX = 2000 * 1024 * 1024,
	/* The memory that one body or message can take while it arrives, and as much to spare, or
	 * else the largest could never come: a buffer of twice its size, and a parser of four times
	 * its size (XML_MEMORY_FACTOR). */
	LOGIN_BODIES_MIN = 8,
};

/* key, member, default, minimum, maximum */
#define NUMBERS(X)                                                                              \
	X(workers, n_workers, 0, WORKERS_MIN, WORKERS_MAX)                                      \
	X(body_bytes, n_body_max, 262144, BODY_MIN, BODY_MAX)                                   \
	X(stanza_bytes, n_stanza_max, 1048576, STANZA_MIN, STANZA_MAX)                          \
	X(pending_bytes, n_pending_max, 524288, PENDING_MIN, PENDING_MAX)                       \
	X(wait, wait_s, 60, WAIT_MIN, WAIT_MAX)                                                 \
	X(hold, hold, 1, HOLD_MIN, HOLD_MAX)                                                    \
	X(inactivity, inactivity_s, 60, INACTIVITY_MIN, INACTIVITY_MAX)                         \
	X(max_pause, maxpause_s, 120, PAUSE_MIN, PAUSE_MAX)                                     \
	X(linger, linger_ms, 10, LINGER_MIN, LINGER_MAX)                                        \
	X(max_repeats, n_repeats_max, 10, REPEATS_MIN, REPEATS_MAX)                             \
	X(max_streams, n_streams_max, 4, STREAMS_MIN, STREAMS_MAX)                              \
	X(polling, polling_s, 2, POLLING_MIN, POLLING_MAX)                                      \
	X(ping_interval, ping_interval_s, 50, PING_MIN, PING_MAX)                               \
	X(header_timeout, header_timeout_s, 15, HEADER_TIMEOUT_MIN, HEADER_TIMEOUT_MAX)         \
	X(dns_timeout, dns_timeout_ms, 1500, DNS_TIMEOUT_MIN, DNS_TIMEOUT_MAX)                  \
	X(dns_tries, n_dns_tries, 3, DNS_TRIES_MIN, DNS_TRIES_MAX)                              \
	X(connect_timeout, connect_timeout_s, 8, CONNECT_TIMEOUT_MIN, CONNECT_TIMEOUT_MAX)      \
	X(open_timeout, open_timeout_s, 30, OPEN_TIMEOUT_MIN, OPEN_TIMEOUT_MAX)                 \
	X(keepalive, keepalive_s, 300, KEEPALIVE_MIN, KEEPALIVE_MAX)                            \
	X(max_sessions, limits.sessions, 20000, PLACES_MIN, PLACES_MAX)                         \
	X(sessions_per_address, limits.sessions_per_client, 200, PLACES_MIN, PLACES_MAX)        \
	X(connections_per_address, limits.connections_per_client, 500, PLACES_MIN, PLACES_MAX)  \
	X(login_bytes_per_address, budget.n_client, 16777216, LOGIN_BYTES_MIN, LOGIN_BYTES_MAX) \
	X(login_bytes, budget.n_total, 67108864, LOGIN_BYTES_MIN, LOGIN_BYTES_MAX)

static const struct {
	const char *key;
	long min;
	long max;
} ranges[] = {
#define X(key_, member, default_, min_, max_) {#key_, min_, max_},
	NUMBERS(X)
#undef X
};

/* Reads decimal digits only; libconfuse itself would read 010 as eight. */
static int value_number(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	size_t i = 0;
	uint64_t number;

	while (strcmp(ranges[i].key, opt->name) != 0) {
		i++;
		assert(i < ARRAY_LENGTH(ranges));
	}
	if (sv_to_u64(sv_from(value), (uint64_t)ranges[i].max, &number) < 0 ||
	    (long)number < ranges[i].min) {
		config_error((unsigned)cfg->line, "%s: expected a number from %ld to %ld, got %s",
			     opt->name, ranges[i].min, ranges[i].max, value);
		number = (uint64_t)ranges[i].min;
	}
	*(long *)result = (long)number;
	return 0;
}

/* The key has been renamed: "bind" usually means an address to listen on. The old name still works,
 * and a warning names the new one. */
#define BOUND_KEY "session_bound_to_address"
#define BOUND_KEY_BEFORE "bind_address"

/* libconfuse takes the defaults of lists as non-const, but does not write to them. */
static char default_listen[] = "{\"127.0.0.1:5280\", \"[::1]:5280\"}";
static char default_origins[] = "{\"*\"}";
static char default_ports[] = "{\"443\", \"1024-65535\"}";

static cfg_opt_t options[] = {
	CFG_STR_LIST_CB("listen", default_listen, CFGF_NONE, config_value_listen),
	CFG_STR_CB("bosh_path", "/http-bind", CFGF_NONE, config_value_path),
	CFG_STR_CB("websocket_path", "/xmpp-websocket", CFGF_NONE, config_value_path),
	CFG_STR_CB("see_other_uri", "", CFGF_NONE, config_value_uri),
	CFG_BOOL_CB(BOUND_KEY, cfg_false, CFGF_NONE, config_value_bool),
	CFG_BOOL_CB(BOUND_KEY_BEFORE, cfg_false, CFGF_NONE, config_value_bool),
	CFG_STR_CB("log_level", "info", CFGF_NONE, config_value_level),
	CFG_STR_LIST_CB("allow_origins", default_origins, CFGF_NONE, config_value_origin),
	CFG_STR_LIST_CB("trusted_proxies", NULL, CFGF_NONE, config_value_network),
	CFG_STR_LIST_CB("resolvers", NULL, CFGF_NONE, config_value_resolver),
	CFG_BOOL_CB("trust_dnssec", cfg_false, CFGF_NONE, config_value_bool),
	CFG_BOOL_CB("compression", cfg_false, CFGF_NONE, config_value_bool),
	CFG_STR_LIST_CB("allowed_routes", NULL, CFGF_NONE, config_value_route),
	CFG_STR_LIST_CB("allowed_ports", default_ports, CFGF_NONE, config_value_ports),
#define X(key, member, default_, min, max) CFG_INT_CB(#key, default_, CFGF_NONE, value_number),
	NUMBERS(X)
#undef X
		CFG_SEC("domain", config_domain_options,
			CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES),
	CFG_END(),
};

static int append_names(struct buffer *names, const cfg_opt_t *of)
{
	struct writer writer = writer_begin(names);

	for (size_t i = 0; of[i].name; i++) {
		if (strcmp(of[i].name, BOUND_KEY_BEFORE) != 0) {
			writer_put(&writer, i ? SV(", ") : SV_EMPTY);
			writer_put(&writer, sv_from(of[i].name));
		}
	}
	writer_put(&writer, SV("\0"));
	return writer_end(&writer);
}

/* Prints libconfuse's own message, or for an unknown key one that lists all known keys. */
static void library_error(cfg_t *cfg, const char *format, va_list arguments)
{
	_cleanup_(buffer_deinit) struct buffer names = BUFFER_INIT;
	char text[256];
	unsigned line = (unsigned)cfg->line;

	/* After an unknown key, libconfuse also reports what follows on that line. */
	if (config_errors_line() == line) {
		return;
	}
	if (strcmp(format, "no such option '%s'") != 0) {
		vsnprintf(text, sizeof(text), format, arguments);
		config_error(line, "%s", text);
		return;
	}
	const char *key = va_arg(arguments, const char *);

	const cfg_opt_t *known = strcmp(cfg->name, "domain") == 0 ? config_domain_options : options;

	if (append_names(&names, known) < 0) {
		config_error_memory();
		return;
	}
	config_error(line, "unknown key '%s': expected one of %s", key, buffer_sv(&names).data);
}

/* Returns 0, even with mistakes in values, or -EINVAL when the text could not be parsed to its end,
 * so that checks of the whole are impossible. */
static int parse(cfg_t *cfg, char *text, size_t n)
{
	unsigned line;
	const char *what;

	if (config_text_prepare(text, n, &line, &what) < 0) {
		config_error(line, "%s", what);
		return -EINVAL;
	}
	/* libconfuse silently accepts this unknown key. */
	line = config_text_key_line(text, "\"\"") + config_text_key_line(text, "''");
	if (line) {
		config_error(line, "unknown key ''");
		return -EINVAL;
	}
	cfg_set_error_function(cfg, library_error);
	return cfg_parse_buf(cfg, text) == CFG_SUCCESS ? 0 : -EINVAL;
}

/* The line at which a mistake about two keys is reported: the later one. */
static unsigned later_line(const char *text, const char *a, const char *b)
{
	unsigned line_a = config_text_key_line(text, a);
	unsigned line_b = config_text_key_line(text, b);

	return line_a > line_b ? line_a : line_b;
}

static void take_renamed(cfg_t *cfg, const char *text)
{
	unsigned line = config_text_key_line(text, BOUND_KEY_BEFORE);

	if (line == 0) {
		return;
	}
	if (config_text_key_line(text, BOUND_KEY)) {
		config_error(later_line(text, BOUND_KEY, BOUND_KEY_BEFORE),
			     BOUND_KEY_BEFORE ": expected only its new name, " BOUND_KEY);
		return;
	}
	config_warning(line, BOUND_KEY_BEFORE " is now called " BOUND_KEY);
	cfg_setbool(cfg, BOUND_KEY, cfg_getbool(cfg, BOUND_KEY_BEFORE));
}

static void check_whole(cfg_t *cfg, const char *text)
{
	if (cfg_size(cfg, "listen") == 0) {
		config_error(config_text_key_line(text, "listen"),
			     "listen: expected at least one address");
	}
	if (strcmp(cfg_getstr(cfg, "bosh_path"), cfg_getstr(cfg, "websocket_path")) == 0) {
		config_error(later_line(text, "bosh_path", "websocket_path"),
			     "bosh_path and websocket_path: expected two different paths, got '%s' "
			     "twice",
			     cfg_getstr(cfg, "bosh_path"));
	}
	/* A client that polls as rarely as allowed would always lose its session. */
	if (cfg_getint(cfg, "polling") >= cfg_getint(cfg, "inactivity")) {
		config_error(later_line(text, "polling", "inactivity"),
			     "polling: expected less than inactivity (%ld), got %ld",
			     cfg_getint(cfg, "inactivity"), cfg_getint(cfg, "polling"));
	}
}

static unsigned core_count(void)
{
	cpu_set_t set;
	long n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set)
							      : sysconf(_SC_NPROCESSORS_ONLN);

	if (n < 1) {
		return 1;
	}
	return n < WORKERS_MAX ? (unsigned)n : WORKERS_MAX;
}

/* Raises limits that would keep the largest body from coming. */
static void raise_budget(struct config *config)
{
	struct budget_limits *budget = &config->budget;
	size_t n_least = LOGIN_BODIES_MIN * config->n_body_max;

	budget->n_client = budget->n_client < n_least ? n_least : budget->n_client;
	budget->n_total = budget->n_total < budget->n_client ? budget->n_client : budget->n_total;
}

/* The values were checked when they were read. */
static int fill(struct config *config, cfg_t *cfg)
{
	int r;

#define X(key, member_, default_, min, max) \
	config->member_ = (__typeof__(config->member_))cfg_getint(cfg, #key);
	NUMBERS(X)
#undef X
	raise_budget(config);
	config->coding = cfg_getbool(cfg, "compression");
	config->trusts_dnssec = cfg_getbool(cfg, "trust_dnssec");
	if (config->n_workers == 0) {
		config->n_workers = core_count();
	}
	r = log_level_parse(sv_from(cfg_getstr(cfg, "log_level")), &config->log_level);
	if (r < 0) {
		return r;
	}
	config->bosh_path = strdup(cfg_getstr(cfg, "bosh_path"));
	config->websocket_path = strdup(cfg_getstr(cfg, "websocket_path"));
	config->see_other_uri = strdup(cfg_getstr(cfg, "see_other_uri"));
	if (!config->bosh_path || !config->websocket_path || !config->see_other_uri) {
		return -ENOMEM;
	}
	config->session_bound_to_address = cfg_getbool(cfg, BOUND_KEY);
	return config_lists_fill(config, cfg);
}

/* @text is the text of the file, or an empty one for the defaults. It is modified. */
static int read_text(struct config *config, char *text, size_t n)
{
	cfg_t *cfg = cfg_init(options, CFGF_KEYSTRVAL);
	int r;

	if (!cfg) {
		return -ENOMEM;
	}
	r = parse(cfg, text, n);
	if (r == 0) {
		take_renamed(cfg, text);
		check_whole(cfg, text);
		r = config_domain_rules(cfg, text, &config->domains);
	}
	if (r == -EINVAL || r == 0) {
		int told = config_errors_end();

		r = told < 0 ? told : r;
	}
	if (r == 0) {
		config->listens_by_default = config_text_key_line(text, "listen") == 0;
		r = fill(config, cfg);
	}
	cfg_free(cfg);
	return r;
}

int config_new(const char *path, FILE *errors, struct config **ret_config)
{
	char empty[] = "";
	char *text = NULL;
	size_t n = 0;
	int r = 0;
	struct config *config = calloc(1, sizeof(*config));

	if (!config) {
		return -ENOMEM;
	}
	config_errors_begin(path, errors);
	if (path) {
		r = config_text_read(path, &text, &n);
		if (r < 0 && r != -ENOMEM) {
			config_error(0, "cannot be read: %s", strerror(-r));
		}
	}
	if (r == 0) {
		r = read_text(config, text ? text : empty, n);
	}
	free(text);
	if (r < 0) {
		config_free(config);
		return r;
	}
	*ret_config = config;
	return 0;
}

struct config *config_free(struct config *config)
{
	if (!config) {
		return NULL;
	}
	free(config->listen);
	free(config->bosh_path);
	free(config->websocket_path);
	free(config->see_other_uri);
	free(config->resolvers);
	origin_list_deinit(&config->origins);
	client_proxies_deinit(&config->proxies);
	ports_deinit(&config->ports);
	routes_deinit(&config->routes);
	config_domain_rules_deinit(&config->domains);
	free(config);
	return NULL;
}
