/* SPDX-License-Identifier: MIT */
/*
 * What inputs cost the parsers of strangers' bytes: CPU time of this process, and memory. Reads a
 * request a line, its words separated by tabs:
 *
 *     PARSER PIECE N SAMPLES HEAD UNIT TAIL
 *
 * PARSER   a name of parsers.h
 * PIECE    how many bytes arrive at once; 0: all of them
 * N        bytes of the whole input: HEAD, UNIT again and again, and TAIL (template.h)
 * SAMPLES  of which the least counts: whatever else runs only adds to it. 0: one run, for a search;
 *          CONSUMED then only says whether the parser has taken half of the input
 *
 * Answers each with a line, "-" if there is no such input, otherwise:
 *
 *     NS INPUT CONSUMED OUT PEAK
 *
 * NS        nanoseconds for the whole input
 * INPUT     its bytes
 * CONSUMED  those that it took the parser to refuse the input or to come to its end; all if it
 *           accepted it; 0 if it refused it as it refuses one that ends too early. A parser that
 *           has refused the input is given no more of it, as in the program
 * OUT       bytes that came out
 * PEAK      the most memory that was allocated meanwhile
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "tests/work/memory.h"
#include "tests/work/parsers.h"
#include "tests/work/template.h"

enum {
	/* A shorter sample would be about the clock. */
	SAMPLE_NS = 20000,
	RUNS_MAX = 1000,
	N_LINE_MAX = 64 * 1024,
	N_WORDS = 7,
};

struct cost {
	double ns;
	size_t n_peak;
	struct outcome outcome;
};

static const struct parser *find_in(const struct parser *list, const char *name)
{
	while (list->name && strcmp(list->name, name) != 0) {
		list++;
	}
	return list->name ? list : NULL;
}

static const struct parser *find(const char *name)
{
	const struct parser *parser = find_in(parsers, name);

	return parser ? parser : find_in(peer_parsers, name);
}

static double now_ns(void)
{
	struct timespec now;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

/* One run, as part of @n. */
static double sample(const struct parser *parser, struct sv input, size_t n_piece, size_t n)
{
	double begin = now_ns();

	for (size_t i = 0; i < n; i++) {
		(void)parser->run(input, n_piece);
	}
	return (now_ns() - begin) / (double)n;
}

static struct cost measure(const struct parser *parser, struct sv input, size_t n_piece,
			   size_t n_samples)
{
	/* What is made once and kept is no cost of an input. */
	(void)parser->run(input, n_piece);
	size_t n_before = memory_held();

	(void)memory_take_peak();
	double begin = now_ns();
	struct cost cost = {.outcome = parser->run(input, n_piece)};

	cost.ns = now_ns() - begin;
	cost.n_peak = memory_take_peak() - n_before;
	size_t n = cost.ns < SAMPLE_NS ? (size_t)(SAMPLE_NS / (cost.ns + 1)) + 1 : 1;

	for (size_t i = 0; i < n_samples; i++) {
		double ns = sample(parser, input, n_piece, n < RUNS_MAX ? n : RUNS_MAX);

		cost.ns = ns < cost.ns ? ns : cost.ns;
	}
	return cost;
}

/* The length of the shortest beginning of @input that is refused as @refusal says. */
static size_t consumed(const struct parser *parser, struct sv input, size_t n_piece, int refusal,
		       bool is_exact)
{
	size_t least = 0, most = input.n;

	if (refusal == ACCEPTED || refusal == INCOMPLETE) {
		return refusal == ACCEPTED ? input.n : 0;
	}
	for (bool is_first = true; most - least > 1 && (is_exact || is_first); is_first = false) {
		size_t middle = least + (most - least) / 2;

		if (parser->run(sv_first(input, middle), n_piece).refusal == refusal) {
			most = middle;
		} else {
			least = middle;
		}
	}
	return is_exact || most == input.n ? most : 0;
}

static void answer(const struct parser *parser, struct sv input, size_t n_piece, size_t n_samples)
{
	struct buffer prepared = BUFFER_INIT;

	if (parser->prepare) {
		parser->prepare(input, &prepared);
	} else {
		need(buffer_append_sv(&prepared, input));
	}
	struct sv bytes = buffer_sv(&prepared);
	struct cost cost = measure(parser, bytes, n_piece, n_samples);

	printf("%.0f %zu %zu %zu %zu\n", cost.ns, bytes.n,
	       consumed(parser, bytes, n_piece, cost.outcome.refusal, n_samples > 0),
	       cost.outcome.n_out, cost.n_peak);
	buffer_deinit(&prepared);
}

/* Returns whether the words are as many as they must be, and the first one is a parser. */
static bool answer_line(char *line)
{
	char *words[N_WORDS], *rest = line;
	struct buffer input = BUFFER_INIT;
	size_t n_words = 0;

	while (n_words < N_WORDS && (words[n_words] = strsep(&rest, "\t\n"))) {
		n_words++;
	}
	const struct parser *parser = n_words == N_WORDS ? find(words[0]) : NULL;

	if (!parser) {
		return false;
	}
	const struct template template = {words[4], words[5], words[6]};
	size_t n = strtoul(words[2], NULL, 10);

	if (n <= N_INPUT_MAX && template_expand(&template, n, &input)) {
		answer(parser, buffer_sv(&input), strtoul(words[1], NULL, 10),
		       strtoul(words[3], NULL, 10));
	} else {
		puts("-");
	}
	fflush(stdout);
	buffer_deinit(&input);
	return true;
}

int main(void)
{
	static char line[N_LINE_MAX];
	int status = EXIT_SUCCESS;

	while (status == EXIT_SUCCESS && fgets(line, sizeof(line), stdin)) {
		if (!answer_line(line)) {
			fprintf(stderr, "not understood: %s", line);
			status = EXIT_FAILURE;
		}
	}
	return status;
}
