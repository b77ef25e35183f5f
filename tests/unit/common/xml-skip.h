/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Puts the test between the scan and common/xml-text.h and common/xml-simple.h: text and simple
 * elements are skipped or not, and the bytes are cut where the test wants them to be. None of this
 * may make a difference. Included after cmocka.h, with xml-skip-real.h or xml-skip-copy.h, which
 * say where the functions of the program are.
 */
#include <stdint.h>

#include "common/xml-simple.h"
#include "common/xml-text.h"
#include "tests/unit/common/xml-case.h"

bool usual_simple_read(struct sv bytes, struct xml_simple *ret_element);
size_t usual_text_run(struct sv bytes);
size_t usual_text_cut(struct sv bytes);

static enum skip_mode {
	SKIP_USUALLY,
	SKIP_NOTHING,
	SKIP_ANYWHERE, /* cut behind a few bytes, whatever they are */
	SKIP_MODES,
} skip_mode;
static uint32_t skip_random;  /* of SKIP_ANYWHERE: state of a generator */
static uint64_t skip_n_bytes; /* skipped so far */

static uint64_t skip_n_simple; /* elements found to be simple so far */

bool xml_simple_read(struct sv bytes, struct xml_simple *ret_element)
{
	bool is_simple = skip_mode != SKIP_NOTHING && usual_simple_read(bytes, ret_element);

	skip_n_simple += is_simple;
	return is_simple;
}

size_t xml_text_run(struct sv bytes)
{
	size_t n = skip_mode == SKIP_NOTHING ? 0 : usual_text_run(bytes);

	skip_n_bytes += n;
	return n;
}

size_t xml_text_cut(struct sv bytes)
{
	if (skip_mode == SKIP_USUALLY) {
		return usual_text_cut(bytes);
	}
	skip_random = skip_random * 1664525 + 1013904223;
	size_t n = 1 + (skip_random >> 8) % 40;

	return skip_mode == SKIP_NOTHING || n > bytes.n ? bytes.n : n;
}

/* The items of @text, whole or in pieces, are in the first @n_modes modes what they are when
 * nothing is skipped. */
static inline void skip_check(struct setup *one, struct sv text, unsigned n_modes)
{
	struct pieces whole = {.rest = text, .way = PIECES_WHOLE};
	struct buffer expected = BUFFER_INIT;

	skip_mode = SKIP_NOTHING;
	run(&whole, &expected, one);
	pieces_end(&whole);
	assert_int_equal(buffer_append(&expected, "", 1), 0);
	for (skip_mode = 0; skip_mode < n_modes; skip_mode++) {
		pieces_check(text, run, one, buffer_sv(&expected).data);
	}
	buffer_deinit(&expected);
}
