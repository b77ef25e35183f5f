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

/* For XML_ParserCreate_MM(). */
extern const XML_Memory_Handling_Suite xml_memory;

/* Bytes that expat has allocated in this thread, minus those that it has freed. What a call of
 * expat adds belongs to the parser of that call. */
size_t xml_memory_held(void);
