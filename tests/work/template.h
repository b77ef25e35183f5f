/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The inputs of the measurements, written down in few characters. A template is text, in which
 *
 *     \n \r \t \\ \xHH   are bytes, as in C
 *     \{N*TEXT}          is TEXT, N times; "}" in it is written \x7d
 *     \#W                is a number in W letters, "aab" for 1: how often the innermost TEXT around
 *                        it came before, or the unit
 *     \~W                is the same backwards, so that what a TEXT opens another one can close
 *     \!W                is the name of W letters with that number among those that uthash's usual
 *                        function puts into one bucket
 *     \@                 is a pointer of the DNS to the two bytes before it
 *
 * An input is a head, a unit again and again, and a tail.
 */
#include "common/buffer.h"

struct template
{
	const char *head, *unit, *tail;
};

/* Makes the longest input of at most @n bytes that has all of its unit, at least once. Returns
 * false if there is none, or if a template means nothing. */
_must_check_ bool template_expand(const struct template *template, size_t n,
				  struct buffer *ret_input);
