#!/bin/sh
# Measures what a round trip and a session cost, beside HAProxy, nginx, a bare two-hop relay and a bare echo. Builds the program
# as for use (build-bench/), lets all take turns for some rounds, prints a table with medians, spread and versions, and writes
# bench.csv and bench.svg. Fails where a bound is not met.
#
#     sh tests/bench/run.sh [--short] [--noisy] [--rounds N] [--ms N] [--sessions N,...] [--texts N,...] [--out FOLDER]
#
#     --short     one round of 64 sessions, without bounds and memory: whether everything runs
#     --noisy     keep the rounds in which a program waited for its core; on a busy machine there may be no others
#     --rounds    how often all take turns (9), each for --ms milliseconds (500)
#     --sessions  numbers of sessions beside 64 (16,512,4000)
#     --texts     bytes of text in a stanza beside 54, with 64 sessions (1024,4096,65536,262144)
#     --out       the folder of bench.csv and bench.svg (build-bench/)
set -eu

cd "$(dirname "$0")/../.."
folder=$PWD/build-bench
cflags='-std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -I.'

if [ ! -f "$folder/build.ninja" ]; then
	meson setup "$folder" --buildtype=release >"$folder.log" || { cat "$folder.log"; exit 1; }
	rm -f "$folder.log"
fi
ninja -C "$folder" gateway/doab >"$folder/ninja.log" || { cat "$folder/ninja.log"; exit 1; }
# shellcheck disable=SC2086  # one word an option
cc $cflags -o "$folder/peer" tests/bench/peer.c tests/bench/flow.c
# shellcheck disable=SC2086
cc $cflags -o "$folder/client" tests/bench/client.c tests/bench/load*.c tests/bench/flow.c
exec python3 tests/bench/bench.py --doab "$folder/gateway/doab" --tools "$folder" --out "$folder" "$@"
