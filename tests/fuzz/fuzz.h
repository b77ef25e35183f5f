/* SPDX-License-Identifier: MIT */
#pragma once
/*
 * What the fuzz harnesses share. A harness is a program with one function, fuzz_one(), that feeds
 * an input to a parser or an engine and checks that what comes out is right. clang's libFuzzer
 * makes up the inputs (run.sh); corpus-main.c runs the known ones (corpus/), as a unit test.
 *
 * property  what must hold for every input. FUZZ_CHECK() ends the program when one does not
 * decision  a byte of the input that does not go to the parser, but decides what the harness does
 * bytes     the rest of the input
 *
 * The helpers of the unit tests work here, too: their assertions are properties.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/mono.h"
#include "common/sv.h"

/* Checks the properties for one input, which is in a block of exactly its size. Is called any
 * number of times, and must not depend on the inputs before. */
void fuzz_one(struct sv input);

/* What libFuzzer calls. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	/* libFuzzer's own block has room behind its end. */
	char *copy = malloc(n ? n : 1);

	if (!copy) {
		abort();
	}
	if (n) {
		memcpy(copy, data, n);
	}
	fuzz_one((struct sv){copy, n});
	free(copy);
	return 0;
}

#include "tests/fuzz/check.h"
#include "tests/unit/pieces.h"

/* Takes the first byte of @input; 0 at the end. */
static inline unsigned fuzz_byte(struct sv *input)
{
	unsigned byte = input->n ? (unsigned char)input->data[0] : 0;

	*input = sv_skip(*input, 1);
	return byte;
}

/* A number below 2^(8 * @n_bytes), most significant byte first. */
static inline uint64_t fuzz_number(struct sv *input, size_t n_bytes)
{
	uint64_t number = 0;

	while (n_bytes--) {
		number = number << 8 | fuzz_byte(input);
	}
	return number;
}

/* Takes the bytes before the next @end, and the @end. */
static inline struct sv fuzz_part(struct sv *input, char end)
{
	struct sv part = sv_first(*input, sv_find(*input, end));

	*input = sv_skip(*input, part.n + 1);
	return part;
}

/* A copy in a block of exactly its size, so that the sanitizer notices reads past the end. */
static inline char *fuzz_copy(struct sv bytes)
{
	char *copy = malloc(bytes.n ? bytes.n : 1);

	FUZZ_CHECK(copy);
	if (bytes.n) {
		memcpy(copy, bytes.data, bytes.n);
	}
	return copy;
}

/* A copy with a NUL behind it; what stands behind a NUL within is not seen. */
static inline char *fuzz_string(struct sv bytes)
{
	char *copy = malloc(bytes.n + 1);

	FUZZ_CHECK(copy);
	if (bytes.n) {
		memcpy(copy, bytes.data, bytes.n);
	}
	copy[bytes.n] = '\0';
	return copy;
}

static inline void fuzz_free(void *pointer)
{
	free(*(void **)pointer);
}

/* A number that depends on all of @bytes (FNV-1a): where to cut them. */
static inline uint32_t fuzz_hash(struct sv bytes)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < bytes.n; i++) {
		hash = (hash ^ (unsigned char)bytes.data[i]) * 16777619u;
	}
	return hash;
}

enum {
	/* A longer input is not cut into single bytes, which would be slow. */
	FUZZ_BYTES_MAX = 600,
};

/* Runs the parser on @bytes cut in the way @way, as pieces.h does. */
static inline void fuzz_run(struct sv bytes, unsigned way, pieces_run *run, void *userdata,
			    struct buffer *log)
{
	struct pieces pieces = {.rest = bytes, .way = way, .random = fuzz_hash(bytes) + way};

	run(&pieces, log, userdata);
	pieces_end(&pieces);
}

/* Whole or cut, the parser must report the same. */
static inline void fuzz_check_cuts(struct sv bytes, pieces_run *run, void *userdata)
{
	struct buffer expected = BUFFER_INIT;

	fuzz_run(bytes, PIECES_WHOLE, run, userdata, &expected);
	for (unsigned way = 0; way < PIECES_RANDOM + 2; way++) {
		struct buffer log = BUFFER_INIT;

		if (way == PIECES_WHOLE || (way == PIECES_BYTES && bytes.n > FUZZ_BYTES_MAX)) {
			continue;
		}
		fuzz_run(bytes, way, run, userdata, &log);
		if (!sv_eq(buffer_sv(&log), buffer_sv(&expected))) {
			fail_msg("way %u gave\n%.*s\nwhole\n%.*s", way, SV_ARGS(buffer_sv(&log)),
				 SV_ARGS(buffer_sv(&expected)));
		}
		buffer_deinit(&log);
	}
	buffer_deinit(&expected);
}
