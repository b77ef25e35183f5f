#!/bin/sh
# Writes a C source that holds files: sh embed.sh OUTPUT HEADER NAME FILE... [-- NAME FILE...]...
# HEADER declares them.
# The files of a name are put behind each other.
set -eu
output=$1
header=$2
shift 2

hold() {
	name=$1
	shift
	printf 'const unsigned char %s[] = {\n' "$name"
	cat "$@" | od -An -v -t u1 | sed 's/ *\([0-9][0-9]*\)/\1,/g'
	printf '};\nconst size_t n_%s = sizeof(%s);\n' "$name" "$name"
}

{
	printf '#include "%s"\n' "$header"
	files=
	for word in "$@" --; do
		if [ "$word" = -- ]; then
			# shellcheck disable=SC2086  # names without blanks
			hold $files
			files=
		else
			files="$files $word"
		fi
	done
} > "$output"
