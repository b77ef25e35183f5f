/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * Text that expat need not read. Most bytes of a large element are text, and expat spends more than
 * a nanosecond on each. Between two tokens inside an element, text without markup does not change
 * the state of expat: it would report the text, which is ignored, and be between two tokens again.
 * Such text is therefore checked here, many bytes at a time, and not given to expat.
 *
 * Private to common/xml-*.c.
 *
 * plain   a character that XML allows in text (XML 1.0, 2.2) and that is no markup, nor part of
 *         any: all but "<", "&" and "]". A ">" is markup only behind "]]"
 * run     plain characters, one behind the other
 * cut     where the bytes are divided: expat reads those before, and is expected to be between two
 *         tokens then, with a run behind
 */
#include "common/sv.h"

enum {
	/* The least bytes without "<", "&" and "]" for which a cut pays: it takes one more call of
	 * expat, which costs as much as reading a hundred bytes. Runs of less than twice this
	 * length may be missed. */
	XML_TEXT_WORTH = 128,
};

/* The length of the run that @bytes begins with. */
size_t xml_text_run(struct sv bytes);

/* The first cut in @bytes, which is only a guess: it does not know whether a ">" ends a tag or
 * stands in an attribute. bytes.n: there is none. At least 1, unless there are no bytes. */
size_t xml_text_cut(struct sv bytes);
