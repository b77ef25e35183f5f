#!/bin/sh
# SPDX-License-Identifier: MIT
# Has clang-tidy, cppcheck and gcc's analyzer read the whole program. Prints what they find, and fails on any finding:
#
#     sh tests/check/run.sh [FILE.c...]
#
# What a checker finds and is true is mended. What is not is silenced where its reason can be written: .clang-tidy for a whole
# check, cppcheck.supp and analyzer.supp for a file, NOLINT for a line. The tests are not read: they run under the sanitizers, and their macros make
# checkers dizzy. build-check/ has the compile commands and the sources that are generated.
set -u

cd "$(dirname "$0")/../.." || exit 1
BUILD=build-check
PACKAGES='clang-tidy cppcheck'
# With uthash's macros the analyzer does not come to an end by itself.
ANALYZER_SHORT='--param=analyzer-bb-explosion-factor=1 --param=analyzer-max-enodes-per-program-point=4'

# shellcheck disable=SC2086  # one word a package
sh conf/install-packages.sh $PACKAGES || exit 1
[ -d $BUILD ] || meson setup $BUILD >/dev/null || exit 1
# The sources that are generated, or nobody finds them.
ninja -C $BUILD -t targets all | sed -n 's/: CUSTOM_COMMAND.*//p' | grep '\.[ch]$' | xargs ninja -C $BUILD >/dev/null || exit 1
[ $# -gt 0 ] || set -- $(find common policy gateway -name '*.c' | sort)
found=$(mktemp) && said=$(mktemp) || exit 1
trap 'rm -f "$found" "$said"' EXIT
trap 'exit 130' INT TERM

say() {
	printf '\n== %s\n' "$*"
}

failed=0
# What is in $found, if anything.
report() {
	if [ -s "$found" ]; then
		cat "$found"
		failed=1
	fi
}

say clang-tidy
printf '%s\n' "$@" | xargs -n 4 -P "$(nproc)" clang-tidy -p $BUILD --quiet >"$found" 2>"$said" || failed=1
# What it says of itself: how many findings it leaves out.
grep -vE '^[0-9]+ warnings? generated\.$' "$said" >>"$found"
report

say cppcheck
cppcheck --project=$BUILD/compile_commands.json $(printf -- '--file-filter=%s ' "$@") --quiet \
	--enable=warning,performance,portability --inline-suppr --suppressions-list=tests/check/cppcheck.supp \
	--library=posix --library=gnu --library=openssl --library=zlib --include=/usr/include/x86_64-linux-gnu/sys/queue.h \
	--template='{file}:{line}: {message} [{id}]' >"$found" 2>&1 || failed=1
report

say 'gcc -fanalyzer'
# As the file is compiled, but without optimization, which would inline what it is to follow.
analyze() {
	xargs -r -n 1 -P "$(nproc)" python3 tests/check/analyze.py $BUILD -O0 -fdiagnostics-color=never "$@" >>"$found" 2>&1
}
: >"$found"
grep -LE 'HASH_(ADD|FIND)' "$@" | analyze || failed=1
# shellcheck disable=SC2086
grep -lE 'HASH_(ADD|FIND)' "$@" | analyze $ANALYZER_SHORT || failed=1
report
exit $failed
