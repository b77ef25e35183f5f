#!/bin/sh
# SPDX-License-Identifier: MIT
# Runs a command where loopback delivers late:
#
#     sh late-loopback.sh COMMAND [ARGUMENT...]
#
# What one socket sends over loopback is usually in the other one when send(2) returns. A test that relies on that fails
# on kernels that deliver on another core. This script makes the kernel do so: in a new network namespace, the second
# core delivers the packets (RPS, "Receive Packet Steering"), and the command runs on the first one.
#
# Ends with the status of the command, or with 77 and a reason where the machine cannot do this.
set -u

queue=/sys/class/net/lo/queues/rx-0/rps_cpus

cannot() {
	echo "no late loopback: $1" >&2
	exit 77
}

if [ "${1:-}" = --inside ]; then
	shift
	mount -t sysfs sysfs /sys 2>/dev/null || cannot "/sys cannot be mounted"
	ip link set lo up 2>/dev/null || cannot "loopback cannot be brought up"
	[ -e "$queue" ] || cannot "the kernel has no RPS"
	# A mask: the second core.
	echo 2 2>/dev/null >"$queue" || cannot "RPS cannot be set"
	exec taskset -c 0 "$@"
fi

if [ $# -eq 0 ]; then
	echo "usage: $0 COMMAND [ARGUMENT...]" >&2
	exit 2
fi
[ "$(id -u)" -eq 0 ] || cannot "this takes root"
for tool in unshare mount ip taskset; do
	command -v "$tool" >/dev/null || cannot "$tool is not installed"
done
taskset -c 0 true 2>/dev/null && taskset -c 1 true 2>/dev/null || cannot "this takes the first two cores"
unshare --net --mount true 2>/dev/null || cannot "there are no namespaces"
exec unshare --net --mount sh "$0" --inside "$@"
