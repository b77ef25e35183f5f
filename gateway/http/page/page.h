/* SPDX-License-Identifier: MIT */
#pragma once
/* The test page, put into the binary by embed.sh: its document, its style, and the parts of its
 * script in one. */
#include <stddef.h>

extern const unsigned char page_html[];
extern const size_t n_page_html;
extern const unsigned char page_css[];
extern const size_t n_page_css;
extern const unsigned char page_js[];
extern const size_t n_page_js;
