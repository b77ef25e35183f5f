#!/bin/sh
# Builds the program and runs all tests, first as it is built for use, then under AddressSanitizer and
# UndefinedBehaviorSanitizer, and some of those with several threads under ThreadSanitizer. Installs what is missing (apt, npm). At
# the end it lists what was skipped, and why, and what each part took and whether it failed; the last line counts what was run.
#
#     sh tests/run.sh [--fast] [--long] [FILE...]
#
#     --fast    without the benchmark and the rounds under the sanitizers, nor, unless they are named, the three files that take a third
#               of the tests' CPU time: a failure of each call, an attacker beside users, the soak
#     --long    the soak goes on for an hour with 1,000 sessions, and under the sanitizers for ten minutes with 300, not for 20
#               seconds with 100 (its pages: build-soak/soak.html, build-soak-asan/soak.html); 300 sessions live through ten upgrades,
#               not 30 through three; and, once, the tests in tests/long: Firefox and WebKit, packages, a container's image and
#               Debian 13 (as root, from the network). All tests with several threads run under ThreadSanitizer, all tests under
#               clang's UndefinedBehaviorSanitizer, some sessions under valgrind; clang-tidy, cppcheck and gcc read the source
#     FILE...   only these test files (tests/conformance/..., tests/interop/...), without the unit tests
set -u

cd "$(dirname "$0")/.." || exit 1
ROOT=$PWD
PACKAGES='meson ninja-build pkg-config gcc g++ libc6-dev libmicrohttpd-dev libssl-dev libc-ares-dev
	libexpat1-dev libuv1-dev libidn2-dev libseccomp-dev uthash-dev zlib1g-dev ca-certificates
	libcmocka-dev libpurple-dev libgloox-dev prosody ejabberd nginx-light haproxy apache2-bin caddy chromium openssl libxml2-utils iproute2
	microsocks tinyproxy libfaketime prometheus fail2ban python3 mandoc zsh systemd'
# For the tests of packages and of other browsers, and for valgrind, 800 MB more.
PACKAGES_LONG='debhelper devscripts lintian debootstrap valgrind libc6-dbg firefox-esr webkit2gtk-driver xvfb'
PACKAGES_CLANG='clang llvm'
# Under ThreadSanitizer in every run. With --long it is all unit tests, all files with a test of several workers, and the soak.
THREAD_UNITS='budget census log-queue log-writer resolver-shared throttle'
THREAD_FILES='conformance/bosh-connections conformance/log-places conformance/reload conformance/stopping interop/workers'
# What clang checks and gcc does not.
UBSAN_CLANG='-fsanitize=implicit-conversion,unsigned-integer-overflow,local-bounds,float-divide-by-zero -fno-sanitize-recover=all'
NODE_LEAST=18
# Test files at a time: they mostly wait, two cores have enough to do then. With eight, and what build_ahead() builds, some waited too
# long for a core.
JOBS=6
# Unit tests at a time: some wait for a timer.
UNITS=4
# What only a whole run has.
NOT_FAST='conformance/faults conformance/latency conformance/soak'
# Of the folders that are built for a part.
ASAN='-Db_sanitize=address,undefined -Db_lundef=false'
TSAN='-Db_sanitize=thread -Db_lundef=false'

is_fast=
is_long=
# Of the soak: seconds and sessions.
soak='20 100'
soak_sanitized='20 100'
files=
# Seconds that a file may take, and under a sanitizer.
limit=900 limit_sanitized=1200
for argument; do
	case $argument in
	--fast) is_fast=yes JOBS=10 ;; # nothing else runs, and those three files are left out
	--long) is_long=yes soak='3600 1000' soak_sanitized='600 300'; export DOAB_LONG=1 ;;
	-*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
	*) files="$files $(realpath "$argument")" ;;
	esac
done

# The files of a round where none are named.
without= # of those, what --fast leaves out
all_files=
for file in "$ROOT"/tests/conformance/*.test.mjs "$ROOT"/tests/interop/*.test.mjs; do
	name=${file#"$ROOT/tests/"}
	case "$is_fast $NOT_FAST " in
	yes*" ${name%.test.mjs} "*) without="${without:-, without} ${name%.test.mjs}" ;;
	*) all_files="$all_files $file" ;;
	esac
done

work=$(mktemp -d) || exit 1
counts=$work/counts # a line of "passed failed skipped" for each part
skips=$work/skips   # a line for each test that was skipped: where it is, its name, why
repeats=$work/repeats # likewise for each that failed, and passed when its file was run once more
: >"$counts"
: >"$skips"
: >"$repeats"
fixed= # a command that fixes the layout of addresses
running=
ahead=
clean_up() {
	if [ -n "$ahead" ]; then
		kill -s TERM -- "-$ahead" 2>/dev/null
	fi
	if [ -n "$running" ]; then
		kill -TERM "$running" 2>/dev/null
		wait "$running" 2>/dev/null
	fi
	rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# A part begins: finish() tells how it went.
say() {
	printf '\n== %s\n' "$*"
	echo "$(wc -l <"$counts") $(date +%s) $*" >>"$work/parts"
}

# In the background, so that a signal to this script is heard at once.
run() {
	"$@" &
	running=$!
	wait "$running"
	status=$?
	running=
	return $status
}

# Ends with the tests that were skipped, the parts and the counts, whatever was reached.
finish() {
	say 'All'
	awk 'FILENAME == ARGV[1] { failed[FNR] = $2; next }
		{ first[++n] = $1; at[n] = $2; name[n] = substr($0, length($1) + length($2) + 3) }
		END { for (i = 1; i < n; i++) {
			sum = 0
			for (line = first[i] + 1; line <= first[i + 1]; line++) sum += failed[line]
			printf "%6d s  %s%s\n", at[i + 1] - at[i], name[i], sum ? ": " sum " FAILED" : ""
		} }' "$counts" "$work/parts"
	if [ -s "$skips" ]; then
		echo 'Skipped:'
		sed 's/^/  /' "$skips"
	fi
	if [ -s "$repeats" ]; then
		echo 'Failed, and passed when repeated alone:'
		sed 's/^/  /' "$repeats"
	fi
	awk '{ passed += $1; failed += $2; skipped += $3 }
		END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit failed > 0 }' "$counts"
	exit
}

# A part without which the others cannot be run.
must() {
	what=$1
	shift
	if ! run "$@"; then
		echo "FAILED: $what"
		echo "0 1 0" >>"$counts"
		finish
	fi
}

# Of what is built for ThreadSanitizer: everything with --long.
thread_targets=
if [ -z "$is_long" ]; then
	# shellcheck disable=SC2086  # one word a test
	thread_targets="-- gateway/doab $(printf 'tests/test-%s ' $THREAD_UNITS)"
fi

# A call fails for each call stack. On a busy machine 1,500 s were not enough for that file.
if [ "${DOAB_LONG:-}" = 1 ]; then
	limit=3600 limit_sanitized=4800
fi

install_packages() {
	node_major=$(node -p 'process.versions.node.split(".")[0]' 2>/dev/null || echo 0)
	node_packages=
	if [ "$node_major" -lt "$NODE_LEAST" ] || ! command -v npm >/dev/null; then
		node_packages='nodejs npm'
	fi
	# shellcheck disable=SC2086  # one word a package
	must 'the installation of packages' sh conf/install-packages.sh $PACKAGES ${is_long:+$PACKAGES_LONG} $node_packages
}

install_modules() {
	stamp=tests/node_modules/.package-lock.json
	if [ -f "$stamp" ] && [ -z "$(find tests/package-lock.json -newer "$stamp")" ]; then
		return
	fi
	set -- timeout -k 10 300 npm ci --prefix tests --no-audit --no-fund --ignore-scripts
	if ! run "$@"; then
		echo 'npm ci failed; once more.'
		must 'npm ci' "$@"
	fi
}

# build FOLDER OPTION...
build() {
	folder=$1
	shift
	must "the build in $folder" sh conf/build.sh --folder "$folder" -Dwerror=true "$@"
}

# Builds what later parts need while the tests before them mostly wait, with what they leave of the cores. A part builds its folder
# itself, too: nothing is left to do then, or it says what is wrong.
build_ahead() {
	{
		echo "build-asan -Dwerror=true $ASAN"
		if [ -z "$files" ]; then
			echo 'build-bench --buildtype=release -- gateway/doab'
			echo "build-tsan -Dwerror=true $TSAN $thread_targets"
		fi
	} >"$work/ahead"
	# A session's processes compete with those of others as one, at the priority of its autogroup: see sched(7).
	# shellcheck disable=SC2016,SC2086  # for the inner shell; one word an option
	setsid nice -n 19 sh -c 'echo 19 >/proc/self/autogroup; echo 500 >/proc/self/oom_score_adj
		while read -r folder options; do sh conf/build.sh --folder "$folder" $options </dev/null; done' \
		<"$work/ahead" >"$work/ahead.log" 2>&1 &
	ahead=$!
}

await_ahead() {
	if [ -n "$ahead" ]; then
		# Nothing else of this run wants the cores now.
		{ echo 0 >"/proc/$ahead/autogroup"; } 2>/dev/null || :
		wait "$ahead"
		ahead=
	fi
}

# unit_tests FOLDER [OPTION...]
unit_tests() {
	folder=$1
	shift
	log=$folder/meson-logs/testlog.json
	rm -f "$log"
	# shellcheck disable=SC2086
	run $fixed env CMOCKA_MESSAGE_OUTPUT=tap meson test -C "$folder" --num-processes $UNITS --print-errorlogs --no-rebuild "$@"
	if [ -s "$log" ]; then
		node tests/support/count-units.mjs "$log" "$skips" >>"$counts"
	else
		echo "FAILED: meson test in $folder left no result"
		echo "0 1 0" >>"$counts"
	fi
}

# node_tests BINARY JOBS SECONDS-A-FILE SECONDS-OF-THE-SOAK SESSIONS-OF-THE-SOAK FOLDER-OF-ITS-PAGE
node_tests() {
	# shellcheck disable=SC2086  # one word a file
	if ! run $fixed env DOAB="$1" DOAB_SOAK_SECONDS="$4" DOAB_SOAK_SESSIONS="$5" DOAB_SOAK_FOLDER="$ROOT/$6" \
		node tests/support/run.mjs --jobs "$2" --limit "$(($3 + $4))" \
		--counts "$work/node" --skips "$skips" --repeats "$repeats" \
		${files:-$all_files}; then
		: # It has printed why, and counted.
	fi
	if [ -f "$work/node" ]; then
		cat "$work/node" >>"$counts"
		rm -f "$work/node"
	else
		echo "FAILED: the tests with $1 ended without a result"
		echo "0 1 0" >>"$counts"
	fi
}

# node_tests_of FILES BINARY ...: as node_tests
node_tests_of() {
	files=$1
	shift
	node_tests "$@"
	files=
}

# Several threads under ThreadSanitizer.
test_threads() {
	export TSAN_OPTIONS="suppressions=$ROOT/tests/check/tsan.supp"
	# gcc 12's sanitizer does not know the address spaces of kernels that randomize more bits than 28.
	fixed=
	if [ "$(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 0)" -gt 28 ]; then
		fixed='setarch -R'
	fi
	# shellcheck disable=SC2086  # one word an option
	build build-tsan $TSAN $thread_targets
	if [ -n "$is_long" ]; then
		unit_tests build-tsan --suite unit
		# The soak's two workers stand in tests/soak.
		node_tests_of "$ROOT/tests/conformance/soak.test.mjs
			$(grep -lE 'workers(:| =)' "$ROOT"/tests/conformance/*.test.mjs "$ROOT"/tests/interop/*.test.mjs)" \
			"$ROOT/build-tsan/gateway/doab" $JOBS $limit_sanitized $soak_sanitized build-soak-tsan
	else
		# shellcheck disable=SC2086
		unit_tests build-tsan $THREAD_UNITS
		# shellcheck disable=SC2086
		node_tests_of "$(printf "$ROOT/tests/%s.test.mjs " $THREAD_FILES)" "$ROOT/build-tsan/gateway/doab" $JOBS 900 0 0 build-soak-tsan
	fi
	fixed=
	unset TSAN_OPTIONS
}

test_with_clang() {
	# shellcheck disable=SC2086
	must 'the installation of clang' sh conf/install-packages.sh $PACKAGES_CLANG
	export CC=clang CFLAGS="$UBSAN_CLANG -fsanitize-ignorelist=$ROOT/tests/check/ubsan.ignore"
	build build-ubsan -Db_sanitize=undefined -Db_lundef=false
	unset CC CFLAGS
	unit_tests build-ubsan --suite unit
	# shellcheck disable=SC2086  # two words
	node_tests "$ROOT/build-ubsan/gateway/doab" $JOBS $limit_sanitized $soak_sanitized build-soak-ubsan
}

# part COMMAND...: one that counts as one test
part() {
	if run "$@"; then
		echo "1 0 0" >>"$counts"
	else
		echo "FAILED: $*"
		echo "0 1 0" >>"$counts"
	fi
}

say 'Packages'
install_packages
install_modules

say 'Build'
build build-test

if [ -z "$files" ]; then
	say 'Rules and unit tests'
	unit_tests build-test
fi
if [ -z "$is_fast" ]; then
	build_ahead
fi
if [ -z "$files" ]; then
	say "Conformance and interoperability$without"
else
	say 'Conformance and interoperability'
fi
# shellcheck disable=SC2086  # two words
node_tests "$ROOT/build-test/gateway/doab" $JOBS $limit $soak build-soak
await_ahead
if [ -n "$is_long" ] && [ -z "$files" ]; then
	say 'Other browsers, packages, a container, Debian 13, valgrind'
	node_tests_of "$(printf '%s ' "$ROOT"/tests/long/*.test.mjs)" "$ROOT/build-test/gateway/doab" 1 2400 0 0 build-soak
	say 'What clang-tidy, cppcheck and gcc find in the source'
	part sh tests/check/run.sh
fi

if [ -z "$is_fast" ] && [ -z "$files" ]; then
	say 'Benchmark, once'
	part timeout -k 30 600 sh tests/bench/run.sh --short
fi

if [ -z "$is_fast" ]; then
	say 'Build with AddressSanitizer and UndefinedBehaviorSanitizer'
	# shellcheck disable=SC2086  # two words
	build build-asan $ASAN
	if [ -z "$files" ]; then
		say 'Unit tests under the sanitizers'
		unit_tests build-asan --suite unit
	fi
	say 'Conformance and interoperability under the sanitizers'
	# shellcheck disable=SC2086  # two words
	node_tests "$ROOT/build-asan/gateway/doab" $JOBS $limit_sanitized $soak_sanitized build-soak-asan
fi
if [ -z "$is_fast" ] && [ -z "$files" ]; then
	say 'ThreadSanitizer'
	test_threads
fi
if [ -n "$is_long" ] && [ -z "$files" ]; then
	say "Clang's UndefinedBehaviorSanitizer"
	test_with_clang
fi

finish
