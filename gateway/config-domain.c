/* SPDX-License-Identifier: MIT */
#include "gateway/config-domain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gateway/config-text.h"
#include "gateway/config-value.h"
#include "gateway/upstream/tls/pin.h"

static int value_connect(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct address address;

	if (opt->nvalues == DOMAIN_CONNECT_MAX + 1) {
		config_error((unsigned)cfg->line, "connect: expected at most %d entries",
			     DOMAIN_CONNECT_MAX);
	}
	if (address_parse(sv_from(value), CONFIG_PORT_CONNECT, &address) < 0 ||
	    address_port(&address) == 0) {
		config_error((unsigned)cfg->line,
			     "connect: expected an IP address, as in \"192.0.2.1:5222\" or "
			     "\"[2001:db8::1]:5222\", got '%s'",
			     value);
	}
	*(const char **)result = value;
	return 0;
}

static int value_pin(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct pin pin;

	if (opt->nvalues == DOMAIN_PINS_MAX + 1) {
		config_error((unsigned)cfg->line, "pin: expected at most %d entries",
			     DOMAIN_PINS_MAX);
	}
	if (pin_parse(sv_from(value), &pin) < 0) {
		config_error((unsigned)cfg->line,
			     "pin: expected the SHA-256 of a public key, \"sha256//\" and 44 "
			     "characters of "
			     "base64, got '%s'",
			     value);
	}
	*(const char **)result = value;
	return 0;
}

static int value_tls(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	enum domain_tls tls;

	(void)opt;
	if (domain_tls_parse(sv_from(value), &tls) < 0) {
		config_error((unsigned)cfg->line,
			     "tls: expected required, direct, opportunistic or off, got '%s'",
			     value);
	}
	*(const char **)result = value;
	return 0;
}

static int value_proxy(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	enum domain_proxy proxy;

	(void)opt;
	if (domain_proxy_parse(sv_from(value), &proxy) < 0) {
		config_error((unsigned)cfg->line,
			     "proxy_protocol: expected off, v1 or v2, got '%s'", value);
	}
	*(const char **)result = value;
	return 0;
}

static int value_max_sessions(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	uint64_t number = 0;

	(void)opt;
	if (sv_to_u64(sv_from(value), DOMAIN_SESSIONS_MAX, &number) < 0) {
		config_error((unsigned)cfg->line,
			     "max_sessions: expected a number from 0 (no limit) to %d, got %s",
			     DOMAIN_SESSIONS_MAX, value);
	}
	*(long *)result = (long)number;
	return 0;
}

/* Returns 0 or a negative errno. */
static int file_is_readable(const char *path)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	int r = 0;

	if (fd < 0) {
		return -errno;
	}
	if (fstat(fd, &status) < 0) {
		r = -errno;
	} else if (S_ISDIR(status.st_mode)) {
		r = -EISDIR;
	}
	close(fd);
	return r;
}

static int value_ca_file(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	(void)opt;
	if (value[0]) {
		int r = file_is_readable(value);

		if (r < 0) {
			config_error(
				(unsigned)cfg->line,
				"ca_file: expected a file of PEM certificates that can be read, "
				"got '%s' (%s)",
				value, strerror(-r));
		}
	}
	*(const char **)result = value;
	return 0;
}

cfg_opt_t config_domain_options[] = {
	CFG_STR_LIST_CB("connect", NULL, CFGF_NONE, value_connect),
	CFG_STR_CB("tls", "required", CFGF_NONE, value_tls),
	CFG_STR_CB("ca_file", "", CFGF_NONE, value_ca_file),
	CFG_STR_LIST_CB("pin", NULL, CFGF_NONE, value_pin),
	CFG_STR_CB("proxy_protocol", "off", CFGF_NONE, value_proxy),
	CFG_INT_CB("max_sessions", 0, CFGF_NONE, value_max_sessions),
	CFG_BOOL_CB("deny", cfg_false, CFGF_NONE, config_value_bool),
	CFG_BOOL_CB("gone", cfg_false, CFGF_NONE, config_value_bool),
	CFG_BOOL_CB("allow_private", cfg_false, CFGF_NONE, config_value_bool),
	CFG_END(),
};

/* Checks that concern two keys. A mistake is reported at the line of the section, because
 * libconfuse no longer knows the lines of the keys. */
static void check_section(const struct domain_rule *rule, unsigned line)
{
	bool is_verified = rule->tls == DOMAIN_TLS_REQUIRED || rule->tls == DOMAIN_TLS_DIRECT;

	if (rule->n_pins && !is_verified) {
		config_error(line, "pin: expected only with tls = required or direct, got tls = %s",
			     domain_tls_name(rule->tls));
	}
	/* Only the operator's own servers may learn the clients' addresses. Most other servers
	 * would treat the header as an error anyway. */
	if (rule->proxy != DOMAIN_PROXY_OFF && rule->n_connect == 0) {
		config_error(line, "proxy_protocol: expected only together with connect");
	}
	if (rule->deny && rule->gone) {
		config_error(line, "deny and gone: expected at most one of them");
	}
}

static int rule_init_connect(struct domain_rule *rule, cfg_t *section)
{
	size_t n = cfg_size(section, "connect");

	for (size_t i = 0; i < n && i < DOMAIN_CONNECT_MAX; i++) {
		struct sv text = sv_from(cfg_getnstr(section, "connect", (unsigned)i));
		int r = address_parse(text, CONFIG_PORT_CONNECT, &rule->connect[i]);

		if (r < 0) {
			return r;
		}
		rule->n_connect++;
	}
	return 0;
}

static int rule_init_pins(struct domain_rule *rule, cfg_t *section)
{
	size_t n = cfg_size(section, "pin");

	for (size_t i = 0; i < n && i < DOMAIN_PINS_MAX; i++) {
		int r = pin_parse(sv_from(cfg_getnstr(section, "pin", (unsigned)i)),
				  &rule->pins[i]);

		if (r < 0) {
			return r;
		}
		rule->n_pins++;
	}
	return 0;
}

/* The values were checked when they were read. Parsing fails only where a mistake has been
 * reported. */
static int rule_init(struct domain_rule *rule, cfg_t *section)
{
	const char *ca_file = cfg_getstr(section, "ca_file");
	int r = rule_init_connect(rule, section);

	if (r < 0) {
		return r;
	}
	r = rule_init_pins(rule, section);
	if (r < 0) {
		return r;
	}
	r = domain_proxy_parse(sv_from(cfg_getstr(section, "proxy_protocol")), &rule->proxy);
	if (r < 0) {
		return r;
	}
	rule->deny = cfg_getbool(section, "deny");
	rule->gone = cfg_getbool(section, "gone");
	rule->max_sessions = (size_t)cfg_getint(section, "max_sessions");
	rule->allow_private = cfg_getbool(section, "allow_private");
	if (ca_file && ca_file[0]) {
		rule->ca_file = strdup(ca_file);
		if (!rule->ca_file) {
			return -ENOMEM;
		}
	}
	return domain_tls_parse(sv_from(cfg_getstr(section, "tls")), &rule->tls);
}

static bool name_is_taken(const struct domain_rules *rules, const char *name, bool is_pattern)
{
	for (size_t i = 0; i < rules->n_rules; i++) {
		if (rules->rules[i].is_pattern == is_pattern &&
		    strcmp(rules->rules[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

static int rules_add(struct domain_rules *rules, cfg_t *section, unsigned line)
{
	struct domain_rule *rule = &rules->rules[rules->n_rules];
	char name[DOMAIN_MAX + 1];
	bool is_pattern;
	int r = domain_pattern_parse(sv_from(cfg_title(section)), name, &is_pattern);

	if (r == -EINVAL) {
		config_error(
			line,
			"domain: expected a domain name, \"*.\" and a name, or \"*\", got '%s'",
			cfg_title(section));
	}
	if (r < 0) {
		return r;
	}
	if (name_is_taken(rules, name, is_pattern)) {
		config_error(line, "domain: expected each domain once, got '%s' again",
			     cfg_title(section));
		return -EINVAL;
	}
	memcpy(rule->name, name, sizeof(name));
	rule->is_pattern = is_pattern;
	rules->n_rules++;
	r = rule_init(rule, section);
	if (r < 0) {
		return r;
	}
	check_section(rule, line);
	return 0;
}

/* Goes on after a mistake, so that all of them are reported. */
static int rules_fill(struct domain_rules *rules, cfg_t *cfg, const unsigned *lines)
{
	size_t n = cfg_size(cfg, "domain");
	int r = 0;

	for (size_t i = 0; i < n && r != -ENOMEM; i++) {
		int added = rules_add(rules, cfg_getnsec(cfg, "domain", (unsigned)i), lines[i]);

		r = added < 0 ? added : r;
	}
	return r;
}

int config_domain_rules(cfg_t *cfg, const char *text, struct domain_rules *ret_rules)
{
	size_t n = cfg_size(cfg, "domain");
	struct domain_rules rules = {0};
	unsigned *lines;
	int r = -ENOMEM;

	if (n == 0) {
		*ret_rules = rules;
		return 0;
	}
	lines = calloc(n, sizeof(*lines));
	rules.rules = calloc(n, sizeof(*rules.rules));
	if (lines && rules.rules) {
		config_text_section_lines(text, n, lines);
		r = rules_fill(&rules, cfg, lines);
	}
	free(lines);
	if (r < 0) {
		config_domain_rules_deinit(&rules);
		return r;
	}
	domain_rules_sort(&rules);
	*ret_rules = rules;
	return 0;
}

void config_domain_rules_deinit(struct domain_rules *rules)
{
	for (size_t i = 0; i < rules->n_rules; i++) {
		free(rules->rules[i].ca_file);
	}
	free(rules->rules);
	*rules = (struct domain_rules){0};
}
