#!/bin/sh
# Builds the program and runs all tests, first as it is built for use, then under AddressSanitizer and
# UndefinedBehaviorSanitizer, and some of those with several threads under ThreadSanitizer. Installs what is missing (apt, npm). At
# the end it lists what each part took and whether it failed, what was skipped, and why, and what failed; the last line counts what was
# run.
#
#     sh tests/run.sh [--fast] [--long] [FILE...]
#
#     --fast    without the benchmark and the rounds under the sanitizers, nor, unless they are named, the three files that take a third
#               of the tests' CPU time: a failure of each call, an attacker beside users, the soak
#     --long    everything. A soak of an hour with 1,000 sessions, and a failure of each call stack, also under AddressSanitizer, go on
#               beside the other parts, and are not repeated if they fail; under the sanitizers the soak goes on for two minutes with
#               200 sessions, not for 20 seconds with 100 (its pages: build-soak/soak.html, build-soak-asan/soak.html).
#               300 sessions live through ten upgrades, not 30 through three. Once, the tests in tests/long: Firefox and WebKit, packages, a
#               container's image, Debian 13 (as root, from the network), some sessions under valgrind. All tests with several threads run
#               under ThreadSanitizer, all but the failures of each call under clang's UndefinedBehaviorSanitizer; clang-tidy, cppcheck and
#               gcc read the source. The attacker beside users and the benchmark come last, when nothing else runs. With FILE... those files
#               take their long form, one after the other: the soak an hour, and ten minutes under the sanitizers
#     FILE...   only these test files (tests/conformance/..., tests/interop/...), without the unit tests
set -u

cd "$(dirname "$0")/.." || exit 1
ROOT=$PWD
PACKAGES='meson ninja-build pkg-config gcc g++ libc6-dev libmicrohttpd-dev libssl-dev libc-ares-dev
	libexpat1-dev libuv1-dev libidn2-dev libseccomp-dev uthash-dev zlib1g-dev ca-certificates
	libcmocka-dev libpurple-dev libgloox-dev prosody ejabberd nginx-light haproxy apache2-bin caddy chromium openssl libxml2-utils iproute2
	microsocks tinyproxy libfaketime prometheus fail2ban python3 mandoc zsh systemd'
# For the tests of packages and of other browsers, and for valgrind, 800 MB more.
PACKAGES_LONG='debhelper devscripts lintian debootstrap valgrind libc6-dbg firefox-esr webkit2gtk-driver xvfb clang llvm'
# Under ThreadSanitizer in every run. With --long it is all unit tests, all files with a test of several workers, and the soak.
THREAD_UNITS='budget census log-queue log-writer resolver-shared throttle'
THREAD_FILES='conformance/bosh-connections conformance/log-places conformance/reload conformance/stopping interop/workers'
# What clang checks and gcc does not.
UBSAN_FLAGS='-fsanitize=implicit-conversion,unsigned-integer-overflow,local-bounds,float-divide-by-zero -fno-sanitize-recover=all'
UBSAN_FLAGS="$UBSAN_FLAGS -fsanitize-ignorelist=$ROOT/tests/check/ubsan.ignore"
NODE_LEAST=18
# Test files at a time: they mostly wait, two cores have enough to do then. With eight, and what build_ahead() builds, some waited too
# long for a core.
JOBS=6
# Unit tests at a time: some wait for a timer.
UNITS=4
# Which take a third of the tests' CPU time. --fast is without them, with --long they are parts of their own.
HEAVY='conformance/faults conformance/latency conformance/soak'
# Of the folders that are built for a part.
ASAN='-Db_sanitize=address,undefined -Db_lundef=false'
TSAN='-Db_sanitize=thread -Db_lundef=false'
UBSAN='-Db_sanitize=undefined -Db_lundef=false'

is_fast=
is_long=
# Of the soak: seconds and sessions.
soak='20 100'
soak_sanitized='20 100'
files=
# Seconds that a file may take, and under a sanitizer.
limit=900 limit_sanitized=1200 limit_faults=4800
for argument; do
	case $argument in
	--fast) is_fast=yes JOBS=10 ;; # nothing else runs, and those three files are left out
	--long) is_long=yes soak='3600 1000' soak_sanitized='600 300'; export DOAB_LONG=1 ;;
	-*) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2; exit 2 ;;
	*) files="$files $(realpath "$argument")" ;;
	esac
done

# Everything, with parts that go on beside others.
is_whole=
if [ -n "$is_long" ] && [ -z "$is_fast$files" ]; then
	is_whole=yes soak_sanitized='120 200'
fi

# The files of a round where none are named.
without= # which of the heavy ones are left out
all_files=
for file in "$ROOT"/tests/conformance/*.test.mjs "$ROOT"/tests/interop/*.test.mjs; do
	name=${file#"$ROOT/tests/"}
	case "$is_fast$is_whole $HEAVY " in
	yes*" ${name%.test.mjs} "*) without="${without:-, without} ${name%.test.mjs}" ;;
	*) all_files="$all_files $file" ;;
	esac
done
sanitized_files=$all_files
if [ -n "$is_whole" ]; then
	sanitized_files="$all_files $ROOT/tests/conformance/soak.test.mjs"
fi

fixed= # a command that fixes the layout of addresses
# shellcheck source=tests/support/parts.sh
. "$ROOT/tests/support/parts.sh"

# Of what is built for ThreadSanitizer: everything with --long.
thread_targets=
if [ -z "$is_long" ]; then
	# shellcheck disable=SC2086  # one word a test
	thread_targets="-- gateway/doab $(printf 'tests/test-%s ' $THREAD_UNITS)"
fi

# A call fails for each call stack. On a busy machine 1,500 s were not enough for that file.
if [ "${DOAB_LONG:-}" = 1 ] && [ -z "$is_whole" ]; then
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
		echo "sh conf/build.sh --folder build-asan -Dwerror=true $ASAN"
		if [ -z "$files" ]; then
			echo 'sh conf/build.sh --folder build-bench --buildtype=release -- gateway/doab'
			echo "sh conf/build.sh --folder build-tsan -Dwerror=true $TSAN $thread_targets"
		fi
		if [ -n "$is_whole" ]; then
			echo "export CC=clang CFLAGS='$UBSAN_FLAGS'"
			echo "sh conf/build.sh --folder build-ubsan -Dwerror=true $UBSAN"
		fi
	} >"$work/ahead"
	setsid sh -c "$IDLY" sh sh "$work/ahead" >"$work/ahead.log" 2>&1 </dev/null &
	ahead=$!
}

await_ahead() {
	if [ -n "$ahead" ]; then
		hurry "$ahead"
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
		node tests/support/count-units.mjs "$log" "$skips" "$failures" >>"$counts"
	else
		fail "meson test in $folder left no result"
	fi
}

# node_tests BINARY JOBS SECONDS-A-FILE SECONDS-OF-THE-SOAK SESSIONS-OF-THE-SOAK FOLDER-OF-ITS-PAGE
node_tests() {
	# shellcheck disable=SC2086  # one word a file
	if ! run $fixed env DOAB="$1" DOAB_SOAK_SECONDS="$4" DOAB_SOAK_SESSIONS="$5" DOAB_SOAK_FOLDER="$ROOT/$6" \
		node tests/support/run.mjs --jobs "$2" --limit "$(($3 + $4))" \
		--counts "$work/node" --skips "$skips" --failures "$failures" --repeats "$repeats" \
		${files:-$all_files}; then
		: # It has printed why, and counted.
	fi
	tally "$work/node" "the tests with $1"
}

# node_tests_of FILES BINARY ...: as node_tests
node_tests_of() {
	named=$files
	files=$1
	shift
	node_tests "$@"
	files=$named
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
		# shellcheck disable=SC2086  # two words
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
	export CC=clang CFLAGS="$UBSAN_FLAGS"
	# shellcheck disable=SC2086  # one word an option
	build build-ubsan $UBSAN
	unset CC CFLAGS
	unit_tests build-ubsan --suite unit
	# shellcheck disable=SC2086  # two words
	node_tests_of "$sanitized_files" "$ROOT/build-ubsan/gateway/doab" $JOBS $limit_sanitized $soak_sanitized build-soak-ubsan
}

bench() {
	say 'Benchmark, once'
	part timeout -k 30 600 sh tests/bench/run.sh --short
}

# The soak in its longest form, which runs once: the rounds under sanitizers have a shorter one.
begin_soak() {
	# shellcheck disable=SC2086  # two words
	set -- $soak
	beside soak env DOAB="$ROOT/build-test/gateway/doab" \
		DOAB_SOAK_SECONDS="$1" DOAB_SOAK_SESSIONS="$2" DOAB_SOAK_FOLDER="$ROOT/build-soak" \
		node tests/support/run.mjs --jobs 1 --limit "$((limit + $1))" --counts "$work/soak.counts" --skips "$skips" \
		--failures "$failures" "$ROOT/tests/conformance/soak.test.mjs"
}

# begin_faults FOLDER: a failure of each call stack
begin_faults() {
	beside "faults-$1" env DOAB="$ROOT/$1/gateway/doab" \
		node tests/support/run.mjs --jobs 1 --limit "$limit_faults" --counts "$work/faults-$1.counts" --skips "$skips" \
		--failures "$failures" "$ROOT/tests/conformance/faults.test.mjs"
}

test_latency() {
	export DOAB_QUIET=1
	for build in build-test build-asan build-ubsan; do
		node_tests_of "$ROOT/tests/conformance/latency.test.mjs" "$ROOT/$build/gateway/doab" 1 $limit_sanitized 0 0 build-soak
	done
	unset DOAB_QUIET
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
if [ -n "$is_whole" ]; then
	say 'Unit tests on a loopback that delivers late'
	# shellcheck disable=SC2016  # for the inner shell, which hides how many failed: 77 would mean that it cannot run
	part sh tests/support/late-loopback.sh sh -c '"$@" || exit 1' sh \
		meson test -C build-test --suite unit --num-processes $UNITS --print-errorlogs --no-rebuild
fi
if [ -z "$is_fast" ]; then
	build_ahead
fi
if [ -z "$files" ]; then
	if [ -n "$is_whole" ]; then
		begin_soak
	fi
	say "Conformance and interoperability$without"
else
	say 'Conformance and interoperability'
fi
# shellcheck disable=SC2086  # two words
node_tests "$ROOT/build-test/gateway/doab" $JOBS $limit $soak build-soak
await_ahead
if [ -n "$is_whole" ]; then
	begin_faults build-test
fi
if [ -n "$is_long" ] && [ -z "$files" ]; then
	beside checkers sh -c "$IDLY" sh sh tests/check/run.sh
	say 'Other browsers, packages, a container, Debian 13, valgrind'
	node_tests_of "$(printf '%s ' "$ROOT"/tests/long/*.test.mjs)" "$ROOT/build-test/gateway/doab" 3 2400 0 0 build-soak
fi

if [ -z "$is_fast$is_long$files" ]; then
	bench
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
	node_tests_of "${files:-$sanitized_files}" "$ROOT/build-asan/gateway/doab" $JOBS $limit_sanitized $soak_sanitized build-soak-asan
fi
if [ -n "$is_whole" ]; then
	begin_faults build-asan
fi
if [ -z "$is_fast" ] && [ -z "$files" ]; then
	say 'ThreadSanitizer'
	test_threads
fi
if [ -n "$is_long" ] && [ -z "$files" ]; then
	say "Clang's UndefinedBehaviorSanitizer"
	test_with_clang
fi

await_beside checkers 'What clang-tidy, cppcheck and gcc find in the source'
await_beside faults-build-test 'A failure of each call, beside the parts above'
await_beside faults-build-asan 'A failure of each call under the sanitizers, beside the parts above'
await_beside soak 'The soak of an hour, beside the parts above'
# Now nothing else of this run takes the cores.
if [ -n "$is_whole" ]; then
	say 'An attacker beside users'
	test_latency
	bench
fi

finish
