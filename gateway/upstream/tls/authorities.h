/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Whether the system's trust store holds any certificate authority. Without one, every server whose
 * rule names no ca_file is refused, and only its sessions would show it.
 *
 * The store is OpenSSL's default: a file of certificates, and folders of certificates named by
 * their hash. The environment variables SSL_CERT_FILE and SSL_CERT_DIR replace them.
 */
#include <stdbool.h>

#include "common/macro.h"

/* Where the store is: the name of a file, and names of folders separated by colons. */
const char *authorities_file(void);
const char *authorities_folders(void);

/* Whether the system's store has at least one readable certificate. Reads files, so it is for the
 * start of the program, not for a worker. Returns 0 or -ENOMEM. */
_must_check_ int authorities_find(bool *ret_is_found);
