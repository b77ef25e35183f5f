#!/bin/sh
# Configures and builds Doab, whatever state the build folder is in:
#
#     sh conf/build.sh [--folder FOLDER] [MESON-OPTION...] [-- TARGET...]
#
#     --folder FOLDER    where to build (build)
#     MESON-OPTION...    such as --buildtype=release; the folder gets these options and no others
#     TARGET...          what to build (everything)
#
# A folder that was configured for the same options, compiler and libraries is used as it is, and only what has changed
# is compiled. In any other state (other options, a package that was installed or removed since, a set-up that was
# interrupted, a copy of another checkout) its configuration and the results are discarded and made anew.
set -eu

cd "$(dirname "$0")/.."
folder=build
if [ "${1:-}" = --folder ]; then
	folder=${2:?"--folder takes the name of a folder"}
	shift 2
fi
options=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
	options="$options $1"
	shift
done
[ $# -eq 0 ] || shift

# Everything that a configuration depends on and that meson and ninja do not look at again by themselves.
describe() {
	echo "source: $(pwd -P)"
	echo "folder: $(realpath -m "$folder")"
	echo "options:$options"
	echo "meson: $(meson --version)"
	echo "compiler: $(${CC:-cc} --version | head -n 1)"
	echo "environment: ${CC:-} | ${CFLAGS:-} | ${CPPFLAGS:-} | ${LDFLAGS:-} | ${PKG_CONFIG_PATH:-}"
	sed -n "s/.*dependency('\([^']*\)'.*/\1/p" meson.build tests/meson.build | while read -r library; do
		echo "$library: $(pkg-config --modversion "$library" 2>/dev/null || echo none)"
	done
}

# Whether the folder has a complete configuration, and the one that is asked for. Half a build.ninja may still be one that
# ninja accepts; meson writes the default target last.
is_configured() {
	[ -f "$folder/configured-for" ] && [ "$(cat "$folder/configured-for")" = "$state" ] &&
		tail -n 2 "$folder/build.ninja" 2>/dev/null | grep -q '^default ' &&
		meson configure "$folder" >/dev/null 2>&1 && ninja -C "$folder" -n >/dev/null 2>&1
}

# Without its log ninja takes everything in the folder as out of date, so the old results need not be removed.
discard() {
	if [ -d "$folder/meson-private" ]; then
		echo "$folder/ was configured for something else, or not completely: starting over"
	fi
	rm -rf "$folder/configured-for" "$folder/build.ninja" "$folder/.ninja_log" "$folder/.ninja_deps" \
		"$folder/meson-private" "$folder/meson-info" "$folder/meson-logs"
}

# `sudo meson install` leaves its log there, which nobody needs.
if [ -d "$folder" ] && [ -n "$(find "$folder" ! -type l ! -writable ! -name install-log.txt -print -quit)" ]; then
	echo "The folder $folder/ has files that $(id -un) may not write; another user has built there." >&2
	echo "Remove it first:  sudo rm -r $folder" >&2
	exit 1
fi

state=$(describe)
if ! is_configured; then
	discard
	# shellcheck disable=SC2086  # one word an option
	meson setup "$folder" $options
	printf '%s\n' "$state" >"$folder/configured-for"
fi
exec ninja -C "$folder" "$@"
