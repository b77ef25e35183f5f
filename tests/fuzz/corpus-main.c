/* SPDX-License-Identifier: MIT */
/*
 * Runs a fuzz harness on the inputs of a file, without libFuzzer: the unit tests of the suite
 * fuzz-corpus. Each line of the file is one input. "\n", "\r", "\t", "\\" and "\xHH" stand for
 * bytes as in C; a line that begins with "# " is a comment.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* Reads what stands behind a backslash. Returns its length, or 0 if it means nothing. */
static size_t unescape(const char *text, char *ret_byte)
{
	static const char names[] = "nrt\\", bytes[] = "\n\r\t\\";
	const char *at = text[0] ? strchr(names, text[0]) : NULL;

	if (at) {
		*ret_byte = bytes[at - names];
		return 1;
	}
	if (text[0] != 'x' || digit(text[1]) < 0 || digit(text[2]) < 0) {
		return 0;
	}
	*ret_byte = (char)(digit(text[1]) << 4 | digit(text[2]));
	return 3;
}

/* Writes the input that the line means over it. */
static bool read_line(char *line, size_t *ret_n)
{
	size_t n = 0;

	for (const char *at = line; *at; n++) {
		char byte = *at++;

		if (byte == '\\') {
			size_t n_escape = unescape(at, &byte);

			if (n_escape == 0) {
				return false;
			}
			at += n_escape;
		}
		line[n] = byte;
	}
	*ret_n = n;
	return true;
}

static int run(FILE *file, const char *name)
{
	char *line = NULL;
	size_t size = 0, n_inputs = 0, n;

	for (unsigned number = 1; getline(&line, &size, file) >= 0; number++) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "# ", 2) == 0) {
			continue;
		}
		if (!read_line(line, &n)) {
			fprintf(stderr, "%s:%u: not an escape\n", name, number);
			free(line);
			return EXIT_FAILURE;
		}
		/* A crash says behind which line it was. */
		fprintf(stderr, "%s:%u\n", name, number);
		(void)LLVMFuzzerTestOneInput((const uint8_t *)line, n);
		n_inputs++;
	}
	free(line);
	printf("%zu inputs\n", n_inputs);
	return n_inputs ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	FILE *file = argc == 2 ? fopen(argv[1], "r") : NULL;

	if (!file) {
		fprintf(stderr, "usage: %s FILE\n", argv[0]);
		return EXIT_FAILURE;
	}
	int status = run(file, argv[1]);

	fclose(file);
	return status;
}
