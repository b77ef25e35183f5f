#!/bin/sh
# Starts systemd in a folder with a Debian, in namespaces of its own, and ends with it:
#
#     sh boot.sh ROOT GROUP
#
# GROUP is the folder of the control group (version 2) that it is to live in. The caller removes it afterwards.
set -eu

if [ "$#" -eq 2 ]; then
	mkdir "$2"
	echo $$ >"$2/cgroup.procs"
	exec unshare --cgroup --pid --fork --kill-child --mount --uts --ipc --net sh "$0" "$1" "$2" inside
fi

mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs tmpfs run
mount -t tmpfs tmpfs tmp
mount -t tmpfs -o mode=755 tmpfs dev
for node in null zero full random urandom tty; do
	touch dev/$node
	mount --bind /dev/$node dev/$node
done
mkdir dev/pts dev/shm
ln -s pts/ptmx dev/ptmx
ip link set lo up
# Not chroot: services get mounts of their own, below what is the root to the kernel.
pivot_root . .
umount -l .
exec env -i container=doab PATH=/usr/sbin:/usr/bin:/sbin:/bin \
	/lib/systemd/systemd --log-target=journal --show-status=no --unit=multi-user.target
