/* SPDX-License-Identifier: MIT */
#include "gateway/upstream/tls/authorities.h"

#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	N_HASH_DIGITS = 8,
};

static const char *from_environment(const char *name, const char *otherwise)
{
	const char *value = secure_getenv(name);

	return value ? value : otherwise;
}

const char *authorities_file(void)
{
	return from_environment(X509_get_default_cert_file_env(), X509_get_default_cert_file());
}

const char *authorities_folders(void)
{
	return from_environment(X509_get_default_cert_dir_env(), X509_get_default_cert_dir());
}

DEFINE_CLEANUP(X509_STORE *, X509_STORE_free);
DEFINE_CLEANUP(DIR *, closedir);
DEFINE_CLEANUP(char *, free);

static int find_in_file(const char *path, bool *ret_is_found)
{
	_cleanup_(X509_STORE_freep) X509_STORE *store = X509_STORE_new();

	if (!store) {
		return -ENOMEM;
	}
	/* If a file has an error, the certificates before it count, as they do for connections. */
	(void)X509_STORE_load_file(store, path);
	ERR_clear_error();
	*ret_is_found = sk_X509_OBJECT_num(X509_STORE_get0_objects(store)) > 0;
	return 0;
}

/* The name under which OpenSSL finds a certificate is the hash of its subject: "4a6481c9.0".
 * "4a6481c9.r0" would be a revocation list. */
static bool is_hashed(const char *name)
{
	if (strspn(name, "0123456789abcdef") != N_HASH_DIGITS || name[N_HASH_DIGITS] != '.') {
		return false;
	}
	const char *number = name + N_HASH_DIGITS + 1;

	return *number && !number[strspn(number, "0123456789")];
}

static bool find_in_folder(const char *path)
{
	_cleanup_(closedirp) DIR *folder = opendir(path);
	const struct dirent *entry;

	while (folder && (entry = readdir(folder))) {
		if (is_hashed(entry->d_name) &&
		    faccessat(dirfd(folder), entry->d_name, R_OK, 0) == 0) {
			return true;
		}
	}
	return false;
}

int authorities_find(bool *ret_is_found)
{
	_cleanup_(freep) char *folders = strdup(authorities_folders());
	char *rest = folders;
	int r = folders ? find_in_file(authorities_file(), ret_is_found) : -ENOMEM;

	while (r == 0 && !*ret_is_found && rest) {
		*ret_is_found = find_in_folder(strsep(&rest, ":"));
	}
	return r;
}
