# shellcheck shell=sh
# The parts of a run, for tests/run.sh: each has a name, a time and counts. Some go on beside the others. finish() prints all of them.
#
#     say NAME                         a part begins, and the one before it is over
#     run COMMAND...                   runs a command so that a signal to the script is heard at once
#     part COMMAND...                  ... which counts as one test, as a skipped one if its status is 77
#     must WHAT COMMAND...             ... without which the run is over
#     beside ID COMMAND...             ... which goes on beside the parts that follow
#     await_beside ID NAME             waits for its end, and prints it as a part called NAME
#     tally FILE WHAT                  counts what WHAT has written to FILE
#     fail WHAT                        counts a test that failed
#     finish                           prints everything, and ends the script
#
# In the folder $work are:
#
#     counts    a line of "passed failed skipped" for each command that counts
#     skips     a line for each test that was skipped: where it is, its name, why
#     failures  a line for each test, part or command that failed
#     repeats   likewise for each that failed, and passed when its file was run once more
#     parts     a line of "seconds failed name" for each part that is over
#     ID.*      of a command beside the others: its counts and output, and when it began and ended

work=$(mktemp -d) || exit 1
counts=$work/counts
skips=$work/skips
failures=$work/failures
repeats=$work/repeats
for file in "$counts" "$skips" "$failures" "$repeats" "$work/parts"; do
	: >"$file"
done
running=     # the process of run()
companions=  # the process groups of what goes on beside the parts, each as "ID=GROUP"
ahead=       # the process group of what only saves time, and does not count
part_name=   # of the part that is under way
part_begun=  # when it began
part_failed= # how many tests had failed by then

# What goes on beside the parts gets what they leave of the cores. A session's processes compete with those of others as one, at the
# priority of its autogroup: see sched(7).
# shellcheck disable=SC2016,SC2034  # for the inner shell; the script uses it: sh -c "$IDLY" sh COMMAND...
IDLY='echo 19 >/proc/self/autogroup; echo 500 >/proc/self/oom_score_adj; exec nice -n 19 "$@"'

CANNOT_RUN=77

clean_up() {
	for companion in ${ahead:+ahead=$ahead} $companions; do
		# The number of one that has ended may be another's by now.
		[ -e "$work/${companion%=*}.ended" ] || kill -s TERM -- "-${companion#*=}" 2>/dev/null
	done
	if [ -n "$running" ]; then
		kill -TERM "$running" 2>/dev/null
		wait "$running" 2>/dev/null
	fi
	rm -rf "$work"
}
trap clean_up EXIT
# timeout(1) sends two signals: the second is not to cut clean_up() short.
trap 'trap "" INT TERM HUP; exit 130' INT
trap 'trap "" INT TERM HUP; exit 143' TERM HUP

count_failed() {
	awk '{ sum += $2 } END { print sum + 0 }' "$counts"
}

# end_part [SECONDS-SINCE-1970]: when it ended, if not now
end_part() {
	if [ -n "$part_name" ]; then
		echo "$((${1:-$(date +%s)} - part_begun)) $(($(count_failed) - part_failed)) $part_name" >>"$work/parts"
		part_name=
	fi
}

say() {
	end_part
	printf '\n== %s\n' "$*"
	part_name=$*
	part_begun=$(date +%s)
	part_failed=$(count_failed)
}

run() {
	"$@" &
	running=$!
	wait "$running"
	status=$?
	running=
	return $status
}

# Counts as a test that failed.
fail() {
	echo "FAILED: $1"
	echo "$1" >>"$failures"
	echo '0 1 0' >>"$counts"
}

part() {
	run "$@"
	case $? in
	0) echo '1 0 0' >>"$counts" ;;
	"$CANNOT_RUN")
		echo "$*: this machine cannot run it" >>"$skips"
		echo '0 0 1' >>"$counts"
		;;
	*) fail "$*" ;;
	esac
}

must() {
	what=$1
	shift
	if ! run "$@"; then
		fail "$what"
		finish
	fi
}

tally() {
	if [ -s "$1" ]; then
		cat "$1" >>"$counts"
		rm -f "$1"
	else
		fail "$2 ended without a result"
	fi
}

# A command that writes no counts to $work/ID.counts counts as one test.
beside() {
	id=$1
	shift
	date +%s >"$work/$id.begun"
	# shellcheck disable=SC2016  # for the inner shell
	setsid sh -c 'at=$1; shift
		"$@"
		status=$?
		[ -s "$at.counts" ] || echo "$((status == 0)) $((status != 0)) 0" >"$at.counts"
		date +%s >"$at.ended"' sh "$work/$id" "$@" >"$work/$id.log" 2>&1 </dev/null &
	companions="$companions $id=$!"
}

# The process group $1 is waited for now: it gets as much of the cores as any other.
hurry() {
	{ echo 0 >"/proc/$1/autogroup"; } 2>/dev/null || :
}

# Where it was not begun, there is nothing to wait for.
await_beside() {
	group=$(printf '%s\n' "$companions" | tr ' ' '\n' | sed -n "s/^$1=//p")
	if [ -z "$group" ]; then
		return
	fi
	say "$2"
	part_begun=$(cat "$work/$1.begun")
	hurry "$group"
	wait "$group"
	# What a shell that was killed has begun is not to go on.
	[ -e "$work/$1.ended" ] || kill -s KILL -- "-$group" 2>/dev/null
	companions=$(printf '%s\n' "$companions" | sed "s/ $1=$group//")
	cat "$work/$1.log"
	awk '$2 { failed = 1 } END { exit failed }' "$work/$1.counts" 2>/dev/null || {
		echo "FAILED: $2"
		echo "$2" >>"$failures"
	}
	tally "$work/$1.counts" "$2"
	end_part "$(cat "$work/$1.ended" 2>/dev/null)"
}

# Ends with the tests that were skipped, the parts and the counts, whatever was reached.
finish() {
	end_part
	for companion in $companions; do
		id=${companion%=*}
		if [ -e "$work/$id.ended" ]; then
			await_beside "$id" "$id, beside the parts above"
		else
			cat "$work/$id.log"
			fail "stopped before its end: $id"
		fi
	done
	printf '\n== All\n'
	awk '{ printf "%6d s  %s%s\n", $1, substr($0, length($1) + length($2) + 3), $2 ? ": " $2 " FAILED" : "" }' "$work/parts"
	if [ -s "$skips" ]; then
		echo 'Skipped:'
		sed 's/^/  /' "$skips"
	fi
	if [ -s "$repeats" ]; then
		echo 'Failed, and passed when repeated alone:'
		cut -c -300 "$repeats" | sed 's/^/  /'
	fi
	# Last: the end is what is read first, and some places keep only that.
	if [ -s "$failures" ]; then
		echo 'Failed:'
		cut -c -300 "$failures" | sed 's/^/  /'
	fi
	awk '{ passed += $1; failed += $2; skipped += $3 }
		END { printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped; exit failed > 0 }' "$counts"
	exit
}
