#!/bin/sh
# Installs those of the named Debian packages that are missing, through sudo when not run as root:
#
#     sh conf/install-packages.sh PACKAGE...
#
# It says beforehand how many packages that takes and how large they are. Servers among them are neither started now nor
# at the next boot: Debian does both by itself, and then, for instance, ejabberd holds port 5280 on all addresses. What
# was enabled before stays enabled. A temporary policy-rc.d (Debian policy, 9.11.1) keeps package scripts from starting
# services, where the machine has none of its own.
set -eu

POLICY=/usr/sbin/policy-rc.d
POLICY_MARK='made by install-packages.sh of doab'

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
if ! command -v apt-get >/dev/null; then
	echo "These packages of Debian 12 are needed, and there is no apt-get to install them:$missing" >&2
	exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
	if ! command -v sudo >/dev/null; then
		echo "These packages are missing, and installing them takes root or sudo:$missing" >&2
		exit 1
	fi
	as_root=sudo
fi

apt_get() {
	$as_root env LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 \
		-o Acquire::Retries=3 -o Acquire::http::Timeout=60 -o Acquire::https::Timeout=60 "$@"
}

# Once more with new lists: a mirror may fail, or replace a package after its lists were read.
install() {
	apt_get install -y --no-install-recommends "$@" && return
	echo "The installation failed; once more." >&2
	apt_get update || :
	apt_get install -y --no-install-recommends "$@"
}

# What starts at boot: scripts of System V's init, and units that another unit wants.
enabled_services() {
	for link in /etc/rc[2345].d/S* /etc/systemd/system/*.wants/* /etc/systemd/system/*.requires/*; do
		if [ -L "$link" ]; then
			echo "$link"
		fi
	done
}

# What belongs to the init system itself stays enabled where that was installed along with the rest.
is_of_init() {
	file=$(readlink -f "$1")
	case $file in
	/etc/init.d/*) ;;
	*) file="*/system/${file##*/}" ;; # where units lie is called /lib by some packages, /usr/lib by others
	esac
	dpkg-query -S "$file" 2>/dev/null | grep -qE '^(systemd|udev|dbus)'
}

# Removing its link is what disables a unit, whether systemd runs or not; an upgrade of the package respects that.
disable_new_services() {
	enabled_services | while read -r link; do
		case $enabled_before in
		*" $link "*) continue ;;
		esac
		if [ ! -L "$link" ] || is_of_init "$link"; then
			continue
		fi
		name=${link##*/}
		case $link in
		/etc/rc*)
			name=${name#S??}
			$as_root update-rc.d "$name" disable
			;;
		*) $as_root rm -f "$link" ;;
		esac
		echo "$name is not started at boot"
	done
}

clean_up() {
	if [ -n "$own_policy" ]; then
		$as_root rm -f "$POLICY"
	fi
	disable_new_services
}

own_policy=
enabled_before=" $(enabled_services | tr '\n' ' ')"
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# One with our mark was left behind by a run that was killed.
if [ ! -e "$POLICY" ] || grep -q "$POLICY_MARK" "$POLICY"; then
	own_policy=yes
	printf '#!/bin/sh\n# %s\nexit 101\n' "$POLICY_MARK" | $as_root tee "$POLICY" >/dev/null
	$as_root chmod 755 "$POLICY"
fi

apt_get update || echo "The lists of packages could not be updated; going on with those that are here." >&2
# shellcheck disable=SC2086  # one word a package
plan=$(apt_get install --no-install-recommends --assume-no $missing || :)
echo "Installing$missing"
printf '%s\n' "$plan" | sed -n 's/^[0-9].*newly installed.*/Together with what they depend on: &/p;/^Need to get/p;/^After this operation/p'
# shellcheck disable=SC2086  # one word a package
install $missing
echo "To remove them later:  apt-get autoremove --purge$missing"
