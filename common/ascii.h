/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Kinds of characters, in any locale: a byte outside of ASCII is none of them. @c may be a char of
 * either sign.
 */
#include <stdbool.h>

static inline bool ascii_is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static inline bool ascii_is_letter(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static inline bool ascii_is_alphanumeric(int c)
{
	return ascii_is_letter(c) || ascii_is_digit(c);
}

/* Space, tab, CR or LF. */
static inline bool ascii_is_white(int c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The value of a hexadecimal digit of either case; -1: it is none. */
static inline int ascii_hex_digit(int c)
{
	return c >= '0' && c <= '9' ? c - '0'
	     : c >= 'a' && c <= 'f' ? c - 'a' + 10
	     : c >= 'A' && c <= 'F' ? c - 'A' + 10
				    : -1;
}

static inline char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}
