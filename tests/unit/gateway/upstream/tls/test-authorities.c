/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "gateway/upstream/tls/authorities.h"
#include "tests/unit/gateway/upstream/tls-case.h"

enum {
	PATH_SIZE = 256,
};

static char folder[] = "/tmp/doab-authorities-XXXXXX";
static char authority_file[TRUST_PATH_SIZE];

static void path_in(const char *name, char path[static PATH_SIZE])
{
	assert_in_range(snprintf(path, PATH_SIZE, "%s/%s", folder, name), 1, PATH_SIZE - 1);
}

static void write_file(const char *name, const char *text)
{
	char path[PATH_SIZE];

	path_in(name, path);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void remove_file(const char *name)
{
	char path[PATH_SIZE];

	path_in(name, path);
	assert_int_equal(unlink(path), 0);
}

static void assert_found(const char *file, const char *folders, bool expected)
{
	bool is_found = !expected;

	assert_int_equal(setenv("SSL_CERT_FILE", file, 1), 0);
	assert_int_equal(setenv("SSL_CERT_DIR", folders, 1), 0);
	assert_string_equal(authorities_file(), file);
	assert_string_equal(authorities_folders(), folders);
	assert_int_equal(authorities_find(&is_found), 0);
	assert_int_equal(is_found, expected);
}

static void test_file(void **state)
{
	char path[PATH_SIZE];

	(void)state;
	assert_found(authority_file, folder, true);
	assert_found(authority_file, "/no/such/folder", true);
	path_in("none.pem", path);
	assert_found(path, folder, false);
	write_file("none.pem", "");
	assert_found(path, folder, false);
	write_file("none.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	assert_found(path, folder, false);
	remove_file("none.pem");
}

static void test_folders(void **state)
{
	static const char *const others[] = {"4a6481c9",    "4a6481c9.",    "4a6481c9.r0",
					     "4a6481c.0",   "4a6481c9a.0",  "4A6481C9.0",
					     "4a6481c9.0x", "authority.pem"};
	char path[PATH_SIZE];
	char folders[2 * PATH_SIZE];

	(void)state;
	path_in("none.pem", path);
	assert_found(path, "", false);
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
		write_file(others[i], "");
	}
	assert_found(path, folder, false);
	write_file("4a6481c9.10", "");
	assert_found(path, folder, true);
	snprintf(folders, sizeof(folders), "/no/such/folder::%s", folder);
	assert_found(path, folders, true);
	snprintf(folders, sizeof(folders), "%s:/no/such/folder", folder);
	assert_found(path, folders, true);
	remove_file("4a6481c9.10");
	/* A link to a certificate that has been removed. */
	char link[PATH_SIZE];

	path_in("4a6481c9.0", link);
	assert_int_equal(symlink(path, link), 0);
	assert_found(path, folder, false);
	remove_file("4a6481c9.0");
	for (size_t i = 0; i < ARRAY_LENGTH(others); i++) {
		remove_file(others[i]);
	}
}

static int set_up(void **state)
{
	struct identity authority =
		identity_new(&(struct identity_spec){.name = "authority", .is_authority = true});

	(void)state;
	trust_file(&authority, authority_file);
	identity_free(&authority);
	return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(authority_file);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file),
		cmocka_unit_test(test_folders),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
