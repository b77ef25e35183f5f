/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Functions of expat that have another form in newer versions. Debian 12 has expat 2.5; 2.8 and
 * later (Debian 13) deprecate the narrow forms.
 */
#include <expat.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
	EXPAT_SALT_SIZE = 16, /* the key of SipHash, expat's hash function */
};

/* The position of the token that expat is at; -1 before the first one. */
static inline int64_t expat_token_index(XML_Parser expat)
{
#ifdef HAVE_XML_GETCURRENTBYTECOUNT64
	return XML_GetCurrentByteIndex64(expat);
#else
	return XML_GetCurrentByteIndex(expat);
#endif
}

static inline size_t expat_token_length(XML_Parser expat)
{
#ifdef HAVE_XML_GETCURRENTBYTECOUNT64
	return (size_t)XML_GetCurrentByteCount64(expat);
#else
	return (size_t)XML_GetCurrentByteCount(expat);
#endif
}

/* @salt has EXPAT_SALT_SIZE random bytes. Older versions use fewer of them. */
static inline void expat_set_salt(XML_Parser expat, const uint8_t *salt)
{
#ifdef HAVE_XML_SETHASHSALT16BYTES
	XML_SetHashSalt16Bytes(expat, salt);
#else
	unsigned long first;

	memcpy(&first, salt, sizeof(first));
	XML_SetHashSalt(expat, first);
#endif
}
