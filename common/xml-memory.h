/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * The memory of expat, counted. A parser holds more than it was fed, and how much more is the
 * choice of the peer: each new element name, attribute name or prefix gets an entry in a table, at
 * worst 17 bytes of memory for one byte of input. What is freed is wiped. Private to
 * common/xml-*.c.
 */
#include <expat.h>
#include <stddef.h>

/* What expat holds for one parser. */
struct xml_memory {
	size_t n_bytes;
	size_t n_blocks; /* one for each name; about forty are the parser's own */
};

/* For XML_ParserCreate_MM(). */
extern const XML_Memory_Handling_Suite xml_memory;

/* What expat allocates and frees in this thread from now on counts for @memory, which is borrowed.
 * NULL: for nobody. */
void xml_memory_count(struct xml_memory *memory);
