#!/bin/sh
# Runs the soak: clients of both transports that break their connections, fall asleep and go away, while the gateway is reloaded
# and upgraded and its servers restart. Writes the page soak.html; the exit status says whether all promises held.
#
#     sh tests/soak/run.sh [SECONDS [FOLDER]]     60, build-soak
#
#     DOAB            the binary; build/gateway/doab
#     DOAB_SOAK_SESSIONS   how many at the same time; 1000
#     DOAB_SOAK_SEED       of an earlier run, for the same sessions, mishaps and events
#     DOAB_QUIET           1: nothing else runs, so loops must not be late (the default); 0: among other programs
#     DOAB_SOAK_LOG        a file for the gateway's log, which is then at the level "debug"
set -u

cd "$(dirname "$0")/../.." || exit 1
export DOAB_QUIET="${DOAB_QUIET:-1}"
exec node tests/soak/main.mjs "$@"
