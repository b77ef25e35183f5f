/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * For xml-skip.h in a program without shared libraries, which a fuzzer is: the functions that it
 * replaces, once more under other names.
 */
#include "tests/unit/common/xml-skip.h"

#define xml_text_run usual_text_run
#include "common/xml-text.c"
#undef xml_text_run
#define xml_text_cut usual_text_cut
#include "common/xml-cut.c"
#undef xml_text_cut

#define xml_simple_read usual_simple_read
#include "common/xml-simple.c"
#undef xml_simple_read
