/* SPDX-License-Identifier: MIT */
#include "gateway/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	EXIT_USAGE = 2,
	/* getopt_long() returns this plus the index of an option, which no letter is. */
	LONG_FIRST = 256,
	TEXT_COLUMN = 22, /* where --help says what an option does */
};

enum option_role {
	ROLE_SETTING,
	ROLE_ACTION,
	ROLE_FLAG,
};

struct option_entry {
	enum option_id id;
	char letter;
	const char *name;
	const char *value;
	enum option_role role;
	const char *text;
};

static const struct option_entry entries[] = {
#define X(id, letter, name, value, role, text) \
	{OPTION_##id, letter, name, value, ROLE_##role, text},
	OPTIONS_LIST(X)
#undef X
};

static const char *const usages[] = {
#define X(text) text,
	OPTIONS_USAGES(X)
#undef X
};

enum {
	N_ENTRIES = ARRAY_LENGTH(entries),
};

int options_flush_output(void)
{
	if (fflush(stdout) == 0 && !ferror(stdout)) {
		return EXIT_SUCCESS;
	}
	fprintf(stderr, "doab: standard output: %s\n", strerror(errno));
	return EXIT_FAILURE;
}

static void print_entry(const struct option_entry *entry, FILE *stream)
{
	const char *rest = entry->text;
	char letter[] = {'-', entry->letter, ',', '\0'};
	int n_name = fprintf(stream, "  %-3s --%s %s", entry->letter ? letter : "", entry->name,
			     entry->value ? entry->value : "");

	for (int n_blank = TEXT_COLUMN - n_name;; n_blank = TEXT_COLUMN) {
		size_t n_line = strcspn(rest, "\n");

		fprintf(stream, "%*s%.*s\n", n_blank, "", (int)n_line, rest);
		if (rest[n_line] == '\0') {
			return;
		}
		rest += n_line + 1;
	}
}

static void print_help(FILE *stream)
{
	for (size_t i = 0; i < ARRAY_LENGTH(usages); i++) {
		fprintf(stream, "%s doab %s\n", i ? "      " : "Usage:", usages[i]);
	}
	fputs("\nA gateway that connects web clients to XMPP servers, over BOSH and WebSocket.\n\n",
	      stream);
	for (size_t i = 0; i < N_ENTRIES; i++) {
		print_entry(&entries[i], stream);
	}
	fputs("\nLogs go to standard error. SIGINT and SIGTERM stop the program, SIGHUP reads the\n"
	      "configuration anew, SIGUSR2 upgrades to the program's file as it is now, SIGUSR1\n"
	      "logs a count of each kind of failure.\n",
	      stream);
}

static enum options_result refuse(int *ret_status)
{
	print_help(stderr);
	*ret_status = EXIT_USAGE;
	return OPTIONS_EXIT;
}

/* Makes of the list what getopt_long() needs; the last of @ret_long and the end of @ret_short stay
 * zero. */
static void describe(struct option *ret_long, char *ret_short)
{
	for (int i = 0; i < N_ENTRIES; i++) {
		const struct option_entry *entry = &entries[i];

		ret_long[i] = (struct option){
			.name = entry->name,
			.has_arg = entry->value ? required_argument : no_argument,
			.val = LONG_FIRST + i,
		};
		if (entry->letter) {
			*ret_short++ = entry->letter;
			if (entry->value) {
				*ret_short++ = ':';
			}
		}
	}
}

static const struct option_entry *find(int found)
{
	if (found >= LONG_FIRST) {
		return &entries[found - LONG_FIRST];
	}
	for (int i = 0; i < N_ENTRIES; i++) {
		if (entries[i].letter == found) {
			return &entries[i];
		}
	}
	return NULL;
}

static const char *name_of(enum option_id id)
{
	for (int i = 0; i < N_ENTRIES; i++) {
		if (entries[i].id == id) {
			return entries[i].name;
		}
	}
	return "";
}

/* Returns false, after a message, if the option does not go with those before it. */
static bool take(const struct option_entry *entry, const char *value, struct options *options)
{
	if (entry->role == ROLE_SETTING) {
		options->config = value;
		return true;
	}
	if (entry->role == ROLE_FLAG) {
		options->wants_json = true;
		return true;
	}
	if (options->action == entry->id) {
		fprintf(stderr, "doab: --%s is given twice\n", entry->name);
		return false;
	}
	if (options->action != OPTION_NONE) {
		fprintf(stderr, "doab: --%s and --%s exclude each other\n",
			name_of(options->action), entry->name);
		return false;
	}
	options->action = entry->id;
	options->value = value;
	return true;
}

/* Those that only print a text are done with here. */
static enum options_result print_texts(const struct options *options, int *ret_status)
{
	switch (options->action) {
	case OPTION_VERSION:
		puts("doab " DOAB_VERSION);
		break;
	case OPTION_HELP:
		print_help(stdout);
		break;
	default:
		return OPTIONS_OK;
	}
	*ret_status = options_flush_output();
	return OPTIONS_EXIT;
}

enum options_result options_read(int argc, char **argv, struct options *ret_options,
				 int *ret_status)
{
	struct option long_options[N_ENTRIES + 1] = {0};
	char letters[2 * N_ENTRIES + 1] = {0};
	struct options options = {0};
	int found;

	describe(long_options, letters);
	while ((found = getopt_long(argc, argv, letters, long_options, NULL)) != -1) {
		const struct option_entry *entry = find(found);

		if (!entry || !take(entry, optarg, &options)) {
			return refuse(ret_status);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "doab: unexpected argument '%s'\n", argv[optind]);
		return refuse(ret_status);
	}
	if (options.wants_json && options.action != OPTION_PROBE) {
		fprintf(stderr, "doab: --json goes with --probe only\n");
		return refuse(ret_status);
	}
	if (options.action == OPTION_CHECK) {
		options.config = options.value;
	}
	*ret_options = options;
	return print_texts(&options, ret_status);
}
