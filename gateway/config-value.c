/* SPDX-License-Identifier: MIT */
#include "gateway/config-value.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include "common/address.h"
#include "common/log.h"
#include "policy/client.h"
#include "policy/origin.h"
#include "policy/ports.h"
#include "policy/route.h"

enum {
	/* Each costs a socket in each worker. */
	CONFIG_LISTEN_MAX = 64,
	/* c-ares asks one after the other. With more, a lookup would outlast all our time-outs. */
	CONFIG_RESOLVERS_MAX = 8,
	/* Every request with an Origin, or from a proxy, is compared with all entries. */
	CONFIG_ORIGINS_MAX = 1024,
	CONFIG_NETWORKS_MAX = 1024,
	/* The port of every address that is dialled is compared with all entries. */
	CONFIG_PORTS_MAX = 256,
	/* Every route that a client names is compared with all entries. */
	CONFIG_ROUTES_MAX = 256,
	/* A longer path could push the end of the request line out of the bytes that are peeked
	 * at. */
	CONFIG_PATH_MAX = 128,
	CONFIG_URI_MAX = 1024,
};

static struct {
	const char *path;
	FILE *stream;
	size_t n_errors;
	unsigned line;
	bool no_memory;
} errors;

void config_errors_begin(const char *path, FILE *stream)
{
	memset(&errors, 0, sizeof(errors));
	errors.path = path ? path : "built-in defaults";
	errors.stream = stream;
}

int config_errors_end(void)
{
	if (errors.no_memory) {
		return -ENOMEM;
	}
	return errors.n_errors ? -EINVAL : 0;
}

static void print(const char *kind, unsigned line, const char *format, va_list arguments)
{
	if (line) {
		fprintf(errors.stream, "%s:%u: %s", errors.path, line, kind);
	} else {
		fprintf(errors.stream, "%s: %s", errors.path, kind);
	}
	vfprintf(errors.stream, format, arguments);
	fputc('\n', errors.stream);
}

void config_error(unsigned line, const char *format, ...)
{
	va_list arguments;

	errors.n_errors++;
	errors.line = line;
	va_start(arguments, format);
	print("", line, format, arguments);
	va_end(arguments);
}

void config_warning(unsigned line, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	print("warning: ", line, format, arguments);
	va_end(arguments);
}

void config_error_memory(void)
{
	errors.no_memory = true;
}

unsigned config_errors_line(void)
{
	return errors.line;
}

static void refuse(cfg_t *cfg, cfg_opt_t *opt, const char *expected, const char *value)
{
	config_error((unsigned)cfg->line, "%s: expected %s, got '%s'", opt->name, expected, value);
}

/* nvalues includes the new entry, for which libconfuse has made room already. Reported once per
 * list. */
static void check_count(cfg_t *cfg, cfg_opt_t *opt, unsigned max)
{
	if (opt->nvalues == max + 1) {
		config_error((unsigned)cfg->line, "%s: expected at most %u entries", opt->name,
			     max);
	}
}

static int take_string(const char *value, void *result)
{
	*(const char **)result = value;
	return 0;
}

int config_value_bool(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	int is_true = cfg_parse_boolean(value);

	if (is_true < 0) {
		refuse(cfg, opt, "true or false", value);
		is_true = 0;
	}
	*(int *)result = is_true;
	return 0;
}

int config_value_level(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	enum log_level level;

	if (log_level_parse(sv_from(value), &level) < 0) {
		refuse(cfg, opt, "error, warning, info or debug", value);
	}
	return take_string(value, result);
}

static bool path_characters_are_valid(struct sv path)
{
	for (size_t i = 0; i < path.n; i++) {
		char c = path.data[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    !strchr("-._~/", c)) {
			return false;
		}
	}
	return true;
}

/* Browsers and proxies normalise other paths before they send them. */
static bool path_segments_are_valid(struct sv path)
{
	struct sv rest = sv_skip(path, 1);
	struct sv segment;

	while (sv_split(&rest, '/', &segment)) {
		bool is_last = !rest.data;

		if ((segment.n == 0 && !is_last) || sv_eq(segment, SV(".")) ||
		    sv_eq(segment, SV(".."))) {
			return false;
		}
	}
	return true;
}

int config_value_path(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	static const char *const fixed[] = {"/", "/crossdomain.xml", "/clientaccesspolicy.xml"};
	struct sv path = sv_from(value);

	if (!sv_starts_with(path, SV("/")) || path.n > CONFIG_PATH_MAX ||
	    !path_characters_are_valid(path) || !path_segments_are_valid(path)) {
		refuse(cfg, opt, "a path of \"/\", letters, digits and -._~, at most 128 long",
		       value);
	}
	for (size_t i = 0; i < ARRAY_LENGTH(fixed); i++) {
		if (sv_eq(path, sv_from(fixed[i]))) {
			refuse(cfg, opt, "a path that is not one of the gateway's own documents",
			       value);
		}
	}
	return take_string(value, result);
}

/* An https URI of printable ASCII, or an empty text. */
int config_value_uri(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct sv uri = sv_from(value);
	bool valid = uri.n > sizeof("https://") - 1 && uri.n <= CONFIG_URI_MAX &&
		     sv_starts_with(uri, SV("https://"));

	for (size_t i = 0; i < uri.n; i++) {
		valid = valid && uri.data[i] > ' ' && uri.data[i] < 0x7f &&
			!strchr("<>\"'\\", uri.data[i]);
	}
	if (uri.n && !valid) {
		refuse(cfg, opt, "a URI as in \"https://chat.example.org/http-bind\"", value);
	}
	return take_string(value, result);
}

static bool address_is_any(const struct address *address)
{
	return address->any.sa_family == AF_INET6 ? IN6_IS_ADDR_UNSPECIFIED(&address->v6.sin6_addr)
						  : address->v4.sin_addr.s_addr == INADDR_ANY;
}

/* What is expected of @a, given @b; NULL when they do not overlap. If they do, the second of them
 * could not be bound. */
static const char *expected_beside(const struct address *a, const struct address *b)
{
	if (address_port(a) != address_port(b)) {
		return NULL;
	}
	if (address_same_host(a, b)) {
		return "each address once";
	}
	return a->any.sa_family == b->any.sa_family && (address_is_any(a) || address_is_any(b))
		     ? "no other address on the port of 0.0.0.0 or [::]"
		     : NULL;
}

static const char *expected_listen(cfg_opt_t *opt, const struct address *address)
{
	const char *expected = NULL;

	for (unsigned i = 0; !expected && i + 1 < opt->nvalues; i++) {
		struct address other;

		if (address_parse(sv_from(opt->values[i]->string), CONFIG_PORT_LISTEN, &other) ==
		    0) {
			expected = expected_beside(address, &other);
		}
	}
	return expected;
}

int config_value_listen(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	const char *expected;
	struct address address;

	check_count(cfg, opt, CONFIG_LISTEN_MAX);
	/* Port 0 would give each worker a different port. */
	if (address_parse(sv_from(value), CONFIG_PORT_LISTEN, &address) < 0 ||
	    address_port(&address) == 0) {
		refuse(cfg, opt,
		       "an IP address and a port, as in \"127.0.0.1:5280\" or \"[::1]:5280\"",
		       value);
	} else if ((expected = expected_listen(opt, &address))) {
		refuse(cfg, opt, expected, value);
	}
	return take_string(value, result);
}

int config_value_resolver(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct address address;

	check_count(cfg, opt, CONFIG_RESOLVERS_MAX);
	if (address_parse(sv_from(value), CONFIG_PORT_DNS, &address) < 0 ||
	    address_port(&address) == 0) {
		refuse(cfg, opt, "an IP address, as in \"192.0.2.53\" or \"127.0.0.1:5300\"",
		       value);
	}
	return take_string(value, result);
}

int config_value_origin(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct origin_list list;
	size_t bad;
	int r = origin_list_init(&list, &value, 1, &bad);

	check_count(cfg, opt, CONFIG_ORIGINS_MAX);
	if (r == 0) {
		origin_list_deinit(&list);
	} else if (r == -EINVAL) {
		refuse(cfg, opt,
		       "\"*\" or an origin without a path, as in \"https://chat.example.org\" or "
		       "\"https://*.example.org\"",
		       value);
	} else {
		config_error_memory();
	}
	return take_string(value, result);
}

int config_value_network(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct network network;

	check_count(cfg, opt, CONFIG_NETWORKS_MAX);
	if (network_parse(sv_from(value), &network) < 0) {
		refuse(cfg, opt, "an address or a network, as in \"192.0.2.7\" or \"10.0.0.0/8\"",
		       value);
	}
	return take_string(value, result);
}

int config_value_route(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct routes routes;
	size_t bad;
	int r = routes_init(&routes, &value, 1, &bad);

	check_count(cfg, opt, CONFIG_ROUTES_MAX);
	if (r == 0) {
		routes_deinit(&routes);
	} else if (r == -EINVAL) {
		refuse(cfg, opt, "a host and a port, as in \"xmpp.example.org:5222\"", value);
	} else {
		config_error_memory();
	}
	return take_string(value, result);
}

int config_value_ports(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct ports ports;
	size_t bad;
	int r = ports_init(&ports, &value, 1, &bad);

	check_count(cfg, opt, CONFIG_PORTS_MAX);
	if (r == 0) {
		ports_deinit(&ports);
	} else if (r == -EINVAL) {
		refuse(cfg, opt, "a port or a range of ports, as in \"443\" or \"1024-65535\"",
		       value);
	} else {
		config_error_memory();
	}
	return take_string(value, result);
}
