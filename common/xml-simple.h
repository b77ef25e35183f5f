/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Elements that expat need not read. Nearly all stanzas are made of a few kinds of token, each of
 * which can be checked in one pass. expat spends sixty instructions on each byte of them, for
 * tables of names and decoded values that nobody asks for: it was two thirds of what the program
 * itself spent on a small stanza.
 *
 * Whatever is not certainly well-formed is not simple, and is left to expat, which decides. So the
 * only mistake possible here is to accept too much: to miss a rule of XML.
 *
 * Private to common/xml-*.c.
 *
 * simple   said of an element with all that is in it: of names of ASCII letters, digits, "_", "-"
 *          and "." without a prefix; of attributes without white space around "=" and with values
 *          of ASCII without control characters, "<" and "&"; of text of which xml-text.h knows that
 *          it is plain, and the five predefined entities; and within the limits below. xml:lang is
 *          the one attribute with a prefix, as servers write it into many stanzas
 * reserved the namespaces that XML itself uses (Namespaces in XML 1.0, 3): to declare them as
 *          default is an error. An empty declaration undoes another one. Neither is simple
 */
#include <stdbool.h>

#include "common/sv.h"

enum {
	/* A longer element costs expat less for each byte, as its text is not given to it. An
	 * element that turns out not to be simple, or not to have come whole, is read twice: a peer
	 * could make that dear. */
	XML_SIMPLE_MAX = 4 * 1024,
	XML_SIMPLE_DEPTH_MAX = 8,
	/* Of one tag. Each is compared with all others. */
	XML_SIMPLE_ATTRIBUTES_MAX = 8,
};

/* The parts are views into the bytes that were read. */
struct xml_simple {
	size_t n;      /* bytes, from "<" to ">" */
	size_t n_open; /* of its start tag */
	struct sv name;
	struct sv uri; /* of its own declaration of a default namespace; empty: it has none */
};

/* Whether @bytes begin with a simple element that is complete. */
bool xml_simple_read(struct sv bytes, struct xml_simple *ret_element);

/* The length of the start tag of an element with content that @bytes begin with, if it would be
 * simple; 0 otherwise. */
size_t xml_simple_open(struct sv bytes);
