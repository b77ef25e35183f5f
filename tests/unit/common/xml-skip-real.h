/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * For xml-skip.h in a unit test: the functions that it replaces are those in the library of what is
 * tested, so that the test notices a change of them.
 */
#include <dlfcn.h>
#include <string.h>

#include "tests/unit/common/xml-skip.h"

static struct {
	bool (*simple_read)(struct sv bytes, struct xml_simple *ret_element);
	size_t (*text_run)(struct sv bytes);
	size_t (*text_cut)(struct sv bytes);
} real;

/* The one behind that of the test. ISO C has no cast from an object to a function. */
static void find_real(const char *name, void *ret_function)
{
	void *function = dlsym(RTLD_NEXT, name);

	assert_non_null(function);
	memcpy(ret_function, &function, sizeof(function));
}

bool usual_simple_read(struct sv bytes, struct xml_simple *ret_element)
{
	if (!real.simple_read) {
		find_real("xml_simple_read", &real.simple_read);
	}
	return real.simple_read(bytes, ret_element);
}

size_t usual_text_run(struct sv bytes)
{
	if (!real.text_run) {
		find_real("xml_text_run", &real.text_run);
	}
	return real.text_run(bytes);
}

size_t usual_text_cut(struct sv bytes)
{
	if (!real.text_cut) {
		find_real("xml_text_cut", &real.text_cut);
	}
	return real.text_cut(bytes);
}
