/* SPDX-License-Identifier: MIT */
#include "tests/work/template.h"

#include <stdlib.h>
#include <uthash.h>

enum {
	LETTERS = 26,
	BUCKET_BITS = 0xff,
	WIDTH_MAX = 8,
	/* A search makes up templates that repeat nothing for ever. */
	TURNS_MAX = 1000 * 1000,
};

/* One repetition, or the whole template. */
struct turn {
	size_t i, n;
};

struct expansion {
	struct buffer *out;
	size_t n_max;     /* of `out` */
	uint64_t crowded; /* the last number that \! has given, and one */
	size_t n_turns;   /* of all repetitions */
};

static bool put(struct expansion *expansion, const char *bytes, size_t n)
{
	return expansion->out->n + n <= expansion->n_max &&
	       buffer_append(expansion->out, bytes, n) == 0;
}

/* Writes @number in @n letters. */
static void spell(uint64_t number, char *text, size_t n)
{
	while (n > 0) {
		text[--n] = (char)('a' + number % LETTERS);
		number /= LETTERS;
	}
}

static bool is_crowded(const char *name, unsigned n)
{
	unsigned hash;

	HASH_JEN(name, n, hash);
	return (hash & BUCKET_BITS) == 0;
}

/* The next name of @n letters for the one bucket. */
static void spell_crowded(struct expansion *expansion, char *text, size_t n)
{
	do {
		spell(expansion->crowded++, text, n);
	} while (!is_crowded(text, (unsigned)n));
}

/* Puts the number that the letters @kind and @width ask for. */
static bool put_number(struct expansion *expansion, char kind, char width, struct turn turn)
{
	char text[WIDTH_MAX];
	size_t n = (size_t)(width - '0');

	if (width < '1' || n > sizeof(text)) {
		return false;
	}
	if (kind == '!') {
		spell_crowded(expansion, text, n);
	} else {
		spell(kind == '#' ? turn.i : turn.n - 1 - turn.i, text, n);
	}
	return put(expansion, text, n);
}

/* RFC 1035, 4.1.4. */
static bool put_pointer(struct expansion *expansion)
{
	size_t at = expansion->out->n - 2;

	return expansion->out->n >= 2 &&
	       put(expansion, (char[]){(char)(0xc0 | (at >> 8 & 0x3f)), (char)at}, 2);
}

static bool put_byte(struct expansion *expansion, const char **at)
{
	static const char names[] = "nrt\\", bytes[] = "\n\r\t\\";
	char digits[3] = {(*at)[0], (*at)[0] ? (*at)[1] : '\0'}, *end;
	const char *name = **at ? strchr(names, **at) : NULL;

	if (name) {
		(*at)++;
		return put(expansion, &bytes[name - names], 1);
	}
	if (digits[0] != 'x' || !digits[1] || !(*at)[2]) {
		return false;
	}
	memcpy(digits, *at + 1, 2);
	char byte = (char)strtoul(digits, &end, 16);

	*at += 3;
	return *end == '\0' && put(expansion, &byte, 1);
}

static bool put_text(struct expansion *expansion, const char **at, struct turn turn, bool is_inner);

/* "N*TEXT}" */
static bool put_repeated(struct expansion *expansion, const char **at)
{
	char *begin;
	struct turn turn = {.n = strtoul(*at, &begin, 10)};
	bool is_good = *begin == '*' && turn.n > 0;

	for (; is_good && turn.i < turn.n; turn.i++) {
		*at = begin + 1;
		is_good = expansion->n_turns++ < TURNS_MAX && put_text(expansion, at, turn, true);
	}
	return is_good;
}

/* Up to the end, or behind the "}" of an inner text. */
static bool put_text(struct expansion *expansion, const char **at, struct turn turn, bool is_inner)
{
	bool is_good = true;

	while (is_good && **at) {
		char c = *(*at)++, next = **at;

		if (is_inner && c == '}') {
			return true;
		}
		if (c != '\\') {
			is_good = put(expansion, &c, 1);
		} else if (next == '{') {
			(*at)++;
			is_good = put_repeated(expansion, at);
		} else if (next && strchr("#~!", next)) {
			is_good = put_number(expansion, next, (*at)[1], turn);
			*at += is_good ? 2 : 0;
		} else if (next == '@') {
			(*at)++;
			is_good = put_pointer(expansion);
		} else {
			is_good = put_byte(expansion, at);
		}
	}
	return is_good && !is_inner;
}

static bool put_part(struct expansion *expansion, const char *part, struct turn turn)
{
	return put_text(expansion, &part, turn, false);
}

bool template_expand(const struct template *template, size_t n, struct buffer *ret_input)
{
	struct buffer tail = BUFFER_INIT;
	struct expansion for_tail = {.out = &tail, .n_max = n};
	bool is_good = put_part(&for_tail, template->tail, (struct turn){.n = 1});
	struct expansion expansion = {.out = ret_input, .n_max = n - tail.n};
	struct turn turn = {.n = 1};

	is_good = is_good && put_part(&expansion, template->head, turn);
	while (is_good) {
		size_t n_before = ret_input->n;

		if (!put_part(&expansion, template->unit, turn) || ret_input->n == n_before) {
			buffer_truncate(ret_input, n_before);
			break;
		}
		turn = (struct turn){.i = turn.i + 1, .n = turn.n + 1};
	}
	is_good = is_good && turn.i > 0 && buffer_append_sv(ret_input, buffer_sv(&tail)) == 0;
	buffer_deinit(&tail);
	return is_good;
}
