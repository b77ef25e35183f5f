#!/bin/sh
# Writes a C source that holds files: sh embed.sh OUTPUT NAME=FILE ...
set -eu
output=$1
shift
{
	printf '#include "gateway/http/page/page.h"\n'
	for pair in "$@"; do
		printf 'const unsigned char %s[] = {\n' "${pair%%=*}"
		od -An -v -t u1 "${pair#*=}" | sed 's/ *\([0-9][0-9]*\)/\1,/g'
		printf '};\nconst size_t n_%s = sizeof(%s);\n' "${pair%%=*}" "${pair%%=*}"
	done
} > "$output"
