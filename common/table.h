/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * uthash, which by default ends the process when it runs out of memory. With this header, an entry
 * that could not be added is in no table: its hh.tbl is NULL after HASH_ADD. The caller frees it.
 */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
