/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Puts the test between the scan and common/xml-text.h and common/xml-simple.h: text and simple
 * elements are skipped or not, and the bytes are cut where the test wants them to be. None of this
 * may make a difference.
 */
#include <stdint.h>

#include "common/xml-simple.h"
#include "common/xml-text.h"

bool usual_simple_read(struct sv bytes, struct xml_simple *ret_element);
size_t usual_text_run(struct sv bytes);
size_t usual_text_cut(struct sv bytes);

#define xml_text_run usual_text_run
#include "common/xml-text.c"
#undef xml_text_run
#define xml_text_cut usual_text_cut
#include "common/xml-cut.c"
#undef xml_text_cut

#define xml_simple_read usual_simple_read
#include "common/xml-simple.c"
#undef xml_simple_read

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
