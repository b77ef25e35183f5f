#!/bin/sh
# Builds the Debian package:
#
#     sh conf/package.sh [--folder FOLDER] [DPKG-BUILDPACKAGE-OPTION...]
#
#     --folder FOLDER    where the packages go (build-package)
#
# dpkg-buildpackage wants debian/ at the root of the source. So the source is copied, with conf/debian in its place and a
# changelog with the version of meson.build and its date in conf/CHANGELOG.md. What is missing for the build is named by
# dpkg-buildpackage; `apt-get build-dep ./FOLDER/doab-VERSION` installs it.
set -eu

cd "$(dirname "$0")/.."
folder=build-package
if [ "${1:-}" = --folder ]; then
	folder=${2:?"--folder takes the name of a folder"}
	shift 2
fi

version=$(sed -n "s/^  version: '\(.*\)',$/\1/p" meson.build)
maintainer=$(sed -n 's/^Maintainer: //p' conf/debian/control)
date=$(sed -n "s/^## $version, //p" conf/CHANGELOG.md)
source=$folder/doab-$version

rm -rf "$folder"
mkdir -p "$source"
if [ -e .git ]; then
	git ls-files -z --cached --others --exclude-standard
else
	find . -type f ! -path './build*' ! -path '*/node_modules/*' -print0
fi | tar --null --ignore-failed-read -cf - -T - | tar -C "$source" -xf -
cp -r "$source/conf/debian" "$source/debian"
cat >"$source/debian/changelog" <<END
doab ($version) unstable; urgency=medium

  * What is new in this version: /usr/share/doc/doab/CHANGELOG.md.

 -- $maintainer  $(LC_ALL=C date -u -d "${date:-now}" -R)
END
cd "$source"
exec dpkg-buildpackage -us -uc "$@"
