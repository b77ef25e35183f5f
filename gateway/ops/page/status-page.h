/* SPDX-License-Identifier: MIT */
#pragma once
/* The status page of the admin listener, put into the binary by http/page/embed.sh. */
#include <stddef.h>

extern const unsigned char status_html[];
extern const size_t n_status_html;
extern const unsigned char status_css[];
extern const size_t n_status_css;
extern const unsigned char status_js[];
extern const size_t n_status_js;
