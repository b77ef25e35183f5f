/* SPDX-License-Identifier: MIT */
/* Configurations of more than one file. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>
#include <time.h>

#include "tests/unit/gateway/config/config-case.h"

static char folder[] = "/tmp/doab-files-XXXXXX";

static int make_folder(void **state)
{
	return setup(state) < 0 || !mkdtemp(folder) ? -1 : 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *ftw)
{
	(void)status;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int remove_folder(void **state)
{
	return nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS) | teardown(state);
}

/* Writes the file @name into the folder of this test. */
static void write_file(const char *name, const char *text)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int read_name(const char *name, struct config **ret_config)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return read_path(path, ret_config);
}

/* The message about line @line of the file @name begins with @what. */
static void assert_printed_about(const char *name, unsigned line, const char *what)
{
	char expected[512];

	snprintf(expected, sizeof(expected), "%s/%s:%u: %s", folder, name, line, what);
	if (!strstr(errors_text, expected)) {
		fail_msg("printed  %s\nexpected %s", errors_text, expected);
	}
}

static void write_parts(void)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/conf.d", folder);
	(void)mkdir(path, 0700);
	write_file("conf.d/20-b.conf", "wait = 22\ntrusted_proxies += {\"10.0.0.2\"}\n");
	write_file("conf.d/10-a.conf", "wait = 21\nhold = 2\ntrusted_proxies += {\"10.0.0.1\"}\n"
				       "domain a.example { deny = true }\n");
	write_file("conf.d/30-c.conf.bak", "wait = 23\n");
}

static void test_include(void **state)
{
	struct config *config = NULL;

	(void)state;
	write_parts();
	/* In the order of their names, where the key stands. */
	write_file("main.conf", "wait = 20\nhold = 3\ntrusted_proxies = {\"10.0.0.0\"}\n"
				"include = \"conf.d/*.conf\"\n"
				"polling = 5\n"
				"domain b.example { }\n");
	assert_int_equal(read_name("main.conf", &config), 0);
	assert_string_equal(errors_text, "");
	assert_int_equal(config->wait_s, 22);
	assert_int_equal(config->hold, 2);
	assert_int_equal(config->polling_s, 5);
	assert_int_equal(config->proxies.n, 3);
	assert_int_equal(config->domains.n_rules, 2);
	config_unref(config);

	/* What stands behind the key wins. */
	write_file("main.conf", "include = {\"conf.d/10-a.conf\"}\nhold = 3\n");
	assert_int_equal(read_name("main.conf", &config), 0);
	assert_int_equal(config->wait_s, 21);
	assert_int_equal(config->hold, 3);
	config_unref(config);

	/* A folder may be empty, or not be there. */
	write_file("main.conf", "include = {\"nothing.d/*.conf\", \"conf.d/*.no\"}\n");
	assert_int_equal(read_name("main.conf", &config), 0);
	assert_string_equal(errors_text, "");
	config_unref(config);
}

static void test_mistakes_in_parts(void **state)
{
	struct config *config = NULL;

	(void)state;
	write_parts();
	write_file("conf.d/40-d.conf", "\n\nwait = 601\n");
	write_file("conf.d/50-e.conf", "hold = 1\nhold = 2\n}\nwait = 1\n");
	write_file("conf.d/60-f.conf", "\ndomain A.example. { }\npolling = 30\n");
	write_file("conf.d/70-g.conf", "inactivity = 20\ninclude = \"conf.d/*\"\n");
	write_file("main.conf", "include = \"conf.d/*.conf\"\nbosh_path = x\n");
	assert_int_equal(read_name("main.conf", &config), -EINVAL);
	assert_null(config);
	assert_printed_about("conf.d/40-d.conf", 3, "wait: expected a number from 0 to 600");
	assert_printed_about("conf.d/50-e.conf", 2, "hold: expected each key once, got it again, ");
	assert_printed_about("conf.d/50-e.conf", 3, "expected a key, got '}'\n");
	assert_printed_about("conf.d/70-g.conf", 2, "include: expected only in the main file\n");
	assert_printed_about("main.conf", 2, "bosh_path: expected a path");
	/* About two files. */
	assert_printed_about("conf.d/60-f.conf", 2,
			     "domain: expected each domain once, got 'a.example' again, after ");
	assert_non_null(strstr(errors_text, "conf.d/10-a.conf:4\n"));
	assert_printed_about("conf.d/70-g.conf", 1, "polling: expected less than inactivity (20)");
}

static void test_refused_includes(void **state)
{
	static const struct {
		const char *text;
		unsigned line;
		const char *what;
	} rows[] = {
		{"include = \"\"\n", 1, "include: expected the name of a file, or a pattern"},
		{"\ninclude = \"missing.conf\"\n", 2, "include: expected files that can be read, "},
		{"include = \"conf.d/10-a.conf\"\ninclude = \"conf.d/20-b.conf\"\n", 2,
		 "include: expected each key once"},
		{"include = {\"conf.d/10-a.conf\",\n\"conf.d/1*.conf\"}\n", 2,
		 "include: expected each file once, got '"},
		{"include = \"main.conf\"\n", 1, "include: expected each file once, got '"},
		{"domain a.example { include = \"x\" }\n", 1,
		 "unknown key 'include': expected it "},
	};

	(void)state;
	write_parts();
	for (size_t i = 0; i < ARRAY_LENGTH(rows); i++) {
		struct config *config = NULL;

		write_file("main.conf", rows[i].text);
		assert_int_equal(read_name("main.conf", &config), -EINVAL);
		assert_null(config);
		assert_printed_about("main.conf", rows[i].line, rows[i].what);
	}
	/* What cannot be read is named itself. */
	write_file("main.conf", "include = \"conf.?\"\n");
	assert_int_equal(read_name("main.conf", &(struct config *){NULL}), -EINVAL);
	assert_non_null(strstr(errors_text, "/conf.d: cannot be read: Is a directory\n"));
}

static void test_number_of_files(void **state)
{
	struct config *config = NULL;
	char name[64];

	(void)state;
	snprintf(name, sizeof(name), "%s/many", folder);
	assert_int_equal(mkdir(name, 0700), 0);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(name, sizeof(name), "many/%u.conf", i);
		write_file(name, "");
	}
	write_file("main.conf", "include = \"many/*.conf\"\n");
	assert_int_equal(read_name("main.conf", &config), 0);
	config_unref(config);
	write_file("many/more.conf", "");
	assert_int_equal(read_name("main.conf", &(struct config *){NULL}), -EINVAL);
	assert_printed_about("main.conf", 1, "include: expected at most 1000 files\n");
}

static void write_bytes(const char *path, size_t n)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	for (size_t i = 0; i < n; i++) {
		fputc(i % 64 ? '#' : '\n', file);
	}
	assert_int_equal(fclose(file), 0);
}

static void test_size_of_a_file(void **state)
{
	struct config *config = NULL;

	(void)state;
	write_bytes(config_path, 16 * 1024 * 1024);
	assert_int_equal(read_path(config_path, &config), 0);
	config_unref(config);
	write_bytes(config_path, 16 * 1024 * 1024 + 1);
	assert_int_equal(read_path(config_path, &config), -EFBIG);
	assert_non_null(strstr(errors_text, ": cannot be read: File too large\n"));
	assert_int_equal(read_path("/dev/zero", &config), -EFBIG);
}

/* Microseconds of the processor that @n sections take. */
static long cost_of(unsigned n)
{
	long least = LONG_MAX;
	FILE *file = fopen(config_path, "w");

	assert_non_null(file);
	for (unsigned i = 0; i < n; i++) {
		fprintf(file, "domain \"d%u.example.org\" { connect = {\"192.0.2.1:5222\"} }\n", i);
	}
	fclose(file);
	for (unsigned i = 0; i < 3; i++) {
		struct config *config = NULL;
		clock_t start = clock();

		assert_int_equal(read_path(config_path, &config), 0);
		long cost = (long)(clock() - start);

		assert_int_equal(config->domains.n_rules, n);
		config_unref(config);
		least = cost < least ? cost : least;
	}
	return least ? least : 1;
}

/* Ten times as many sections cost about ten times as much. Comparing each with each would cost a
 * hundred times as much. */
static void test_many_domains(void **state)
{
	(void)state;
	assert_true(cost_of(20000) < 40 * cost_of(2000));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_include),          cmocka_unit_test(test_mistakes_in_parts),
		cmocka_unit_test(test_refused_includes), cmocka_unit_test(test_number_of_files),
		cmocka_unit_test(test_size_of_a_file),   cmocka_unit_test(test_many_domains),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
