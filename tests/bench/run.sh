#!/bin/sh
# Measures what a round trip and a session cost, beside HAProxy, nginx, Prosody's own BOSH and WebSocket, a bare two-hop relay and
# a bare echo. Installs what is missing, builds the program as for use (build-bench/), lets all take turns for some rounds, prints
# a table with medians, spread and versions, and writes bench.csv and bench.svg. Takes about a quarter of an hour.
#
#     sh tests/bench/run.sh [--short] [--noisy] [--only PART,...] [--beside PROGRAM] [--rounds N] [--ms N] [--out FOLDER] [--publish]
#
#     --short     one short round of everything, without bounds: whether it runs, in a minute
#     --noisy     on a busy machine: keeps the rounds in which others had the cores, and takes the lower fifth instead of medians
#     --only      these parts of the table alone, each with all that it is compared with:
#                   round-trips   plain, 64 sessions, stanzas of 200 bytes, beside everything else
#                   growth        16, 512 and 4,000 sessions
#                   sizes         stanzas of 1 KB to 256 KB
#                   two-workers   also with requests that arrive on the wrong worker
#                   tls-server    what TLS to the server adds to a round trip
#                   tls-listener  TLS of the gateway's own, beside nginx terminating TLS in front
#                   opening       new sessions: plain, with TLS to the server resumed, and with full handshakes, beside a bare
#                                 client of OpenSSL
#                   idle          memory of an idle session
#                   tls-idle      what TLS adds to that, beside a bare client of OpenSSL
#                   crowd         memory after 4,000 sessions have left
#                   others        the latency of a quiet client while another one does its worst, in each way of attacks.py,
#                                 within the limits of the default configuration
#     --beside    another build of the gateway: takes its turns, too, and each line is compared with its own
#     --rounds    how often all take turns (7), each for --ms milliseconds (400)
#     --out       the folder of bench.csv, bench-bounds.csv and bench.svg (build-bench/)
#     --publish   also writes conf/bench.svg, which README.md shows; for a whole run on an idle machine
#
# For example, whether a change made small round trips cheaper:
#
#     sh tests/bench/run.sh --noisy --only round-trips --rounds 15 --ms 200 --beside ../before/build/gateway/doab
#
# The program that is measured has a core of its own, and the load and the server have others; with two workers, see `two_workers`
# in parts.py. What counts is the CPU time of its threads (/proc/PID/task/TID/schedstat). A round counts if processes that do not
# belong to the benchmark had less than a tenth of its cores (/proc/stat); a line with fewer than three such rounds is left out.
# Figures are medians of rounds, ratios medians of the ratios within a round.
#
# The status is 1 if a bound is not met, 2 if one is not known because others had the cores.
set -eu

cd "$(dirname "$0")/../.."
folder=$PWD/build-bench
cflags='-std=gnu17 -D_GNU_SOURCE -O2 -Wall -Wextra -I.'

sh conf/install-packages.sh meson ninja-build pkg-config gcc libc6-dev libmicrohttpd-dev libssl-dev libc-ares-dev \
	libexpat1-dev libuv1-dev libidn2-dev libseccomp-dev uthash-dev zlib1g-dev ca-certificates openssl python3
sh conf/install-packages.sh haproxy nginx-light prosody || echo 'What is compared with those that are missing is left out.' >&2
sh conf/build.sh --folder build-bench --buildtype=release -- gateway/doab >"$folder.log" || { cat "$folder.log"; exit 1; }
mv "$folder.log" "$folder/build.log"
# shellcheck disable=SC2086  # one word an option
cc $cflags -o "$folder/peer" tests/bench/peer.c tests/bench/flow.c -lssl -lcrypto
# shellcheck disable=SC2086
cc $cflags -o "$folder/bare" tests/bench/bare.c tests/bench/flow.c -lssl -lcrypto
# shellcheck disable=SC2086
cc $cflags -o "$folder/client" tests/bench/client.c tests/bench/load*.c tests/bench/flow.c -lssl -lcrypto
# shellcheck disable=SC2086
cc $cflags -o "$folder/tls-peer" tests/support/tls-peer.c -lssl -lcrypto
exec python3 tests/bench/bench.py --doab "$folder/gateway/doab" --tools "$folder" --out "$folder" "$@"
