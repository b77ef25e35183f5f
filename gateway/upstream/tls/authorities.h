/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Whether the system's trust store holds any certificate authority. Without one, no certificate of a server is accepted
 * that is not verified against a ca_file, and each session would find that out by itself.
 *
 * The store is OpenSSL's default: a file of certificates, and folders of certificates by their hash. The environment
 * variables SSL_CERT_FILE and SSL_CERT_DIR replace them.
 */
#include <stdbool.h>

#include "common/macro.h"

/* Where the store is looked for: names of a file, and of folders separated by colons. */
const char *authorities_file(void);
const char *authorities_folders(void);

/* Whether the system's store has at least one certificate that can be read. Reads files: for the start of the program,
 * not for a worker. Returns 0 or -ENOMEM. */
_must_check_ int authorities_find(bool *ret_found);
