#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs the fuzzers, each for SECONDS, one after the other on one core:
#
#     sh tests/fuzz/run.sh SECONDS [HARNESS...]
#
# Installs clang with libFuzzer if it is missing. Prints for each its executions, and how many of the edges are covered in the functions of the
# files that it is about ("covers:" in its first comment).
#
# build-fuzz/corpus/HARNESS/  what covers more than the inputs before; the next run goes on from there
# build-fuzz/found/           inputs for which a property does not hold. `build-fuzz/tests/fuzz/fuzz-HARNESS FILE` shows one
#                             again, `python3 tests/fuzz/corpus.py line FILE` makes a line for tests/fuzz/corpus/HARNESS.txt of it
set -eu
seconds=${1:?"usage: $0 SECONDS [HARNESS...]"}
shift
cd "$(dirname "$0")/../.."
build=build-fuzz
sh conf/install-packages.sh clang llvm
[ -d "$build" ] || CC=clang meson setup "$build" -Db_sanitize=address,undefined -Db_lundef=false \
	-Dc_args='-fsanitize=fuzzer-no-link -fno-sanitize-recover=undefined' >/dev/null
nice -n 15 ninja -C "$build" -j1 fuzzers >"$build/build.log" 2>&1 || {
	tail -50 "$build/build.log"
	exit 1
}
[ $# -gt 0 ] || set -- $(ls tests/fuzz/corpus | sed 's/\.txt$//')
mkdir -p "$build/found"
export ASAN_SYMBOLIZER_PATH="${ASAN_SYMBOLIZER_PATH:-$(command -v llvm-symbolizer || command -v llvm-symbolizer-14 || true)}"

# Of what libFuzzer knows about each function: the edges of those in the files, covered and in all.
edges() # HARNESS
{
	files=$(sed -n 's/^ \* covers: //p' "tests/fuzz/fuzz-$1.c" | tr '\n' ' ')
	"$build/tests/fuzz/fuzz-$1" -runs=0 -print_coverage=1 -artifact_prefix="$build/found/$1-" \
		"$build/corpus/$1" 2>&1 |
		awk -v files="$files" '
			BEGIN { n = split(files, names, " ") }
			/^(UN)?COVERED_FUNC: / {
				for (i = 1; i <= n; i++) {
					if (index($0, "/" names[i] ":") && match($0, /edges: [0-9]+\/[0-9]+/)) {
						split(substr($0, RSTART + 7, RLENGTH - 7), edges, "/")
						hit += edges[1]
						all += edges[2]
					}
				}
			}
			END { printf "%d/%d", hit, all }'
}

failed=0
total=0
printf '%-12s %12s %9s %7s  %s\n' harness executions edges inputs result
for name in "$@"; do
	python3 tests/fuzz/corpus.py unpack "tests/fuzz/corpus/$name.txt" "$build/corpus/$name"
	log="$build/found/$name.log"
	result=good
	nice -n 15 "$build/tests/fuzz/fuzz-$name" -max_total_time="$seconds" -timeout=20 -rss_limit_mb=1024 -malloc_limit_mb=256 \
		-print_final_stats=1 -artifact_prefix="$build/found/$name-" "$build/corpus/$name" >"$log" 2>&1 || {
		result="FAILED, see $log and $build/found/$name-*"
		failed=1
	}
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
	total=$((total + ${runs:-0}))
	printf '%-12s %12s %9s %7s  %s\n' "$name" "${runs:-?}" "$(edges "$name")" "$(ls "$build/corpus/$name" | wc -l)" "$result"
done
echo "$total executions; what was found is in $build/found"
exit $failed
