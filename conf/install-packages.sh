#!/bin/sh
# Installs those of the named Debian packages that are missing, through sudo when not root:
#
#     sh conf/install-packages.sh PACKAGE...
#
# Servers among them are not started: Debian starts what it installs, which is not wanted for Prosody and nginx here.
# A temporary policy-rc.d (Debian policy, 9.11.1) says so to the package scripts, where the machine has none of its own.
set -eu

policy=/usr/sbin/policy-rc.d
missing=
for package; do
	case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || :) in
	*' installed') ;;
	*) missing="$missing $package" ;;
	esac
done
if [ -z "$missing" ]; then
	exit 0
fi

as_root=
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "These packages are missing, and installing them takes root or sudo:$missing" >&2
		exit 1
	fi
	as_root=sudo
fi

remove_policy() {
	if [ -n "${own_policy:-}" ]; then
		$as_root rm -f "$policy"
	fi
}
trap remove_policy EXIT
trap 'exit 1' HUP INT TERM

own_policy=
if [ ! -e "$policy" ]; then
	own_policy=yes
	printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
	$as_root chmod 755 "$policy"
fi

echo "Installing$missing"
$as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q
# shellcheck disable=SC2086  # one word a package
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
