#!/bin/sh
# Makes a web site with Converse.js, which any XMPP user can log in to through the gateway:
#
#     sh conf/converse/install.sh /var/www/chat
#
# It fetches Converse.js from npm (curl and tar are needed; the checksum is verified) and copies the pages beside this script.
# conf/converse/nginx.conf serves the folder and the gateway behind one name. Run it again to repair or to update the site.
set -eu

VERSION=14.0.0
SHA512=LFUg030jDalV47vI/vyVPqYPZfJYXFbubq8v0cFDe2zXNeeGEk3Up0Fj/WTzT6t+6do+cAIToy73eAj7RNDj2Q==
URL=https://registry.npmjs.org/converse.js/-/converse.js-$VERSION.tgz

if [ $# -ne 1 ]; then
	sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
site=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

curl --fail --silent --show-error --location --output "$work/converse.tgz" "${CONVERSE_URL:-$URL}"
sum=$(openssl dgst -sha512 -binary "$work/converse.tgz" | openssl base64 -A)
if [ "$sum" != "$SHA512" ]; then
	echo "converse.js $VERSION: the checksum is $sum, expected $SHA512" >&2
	exit 1
fi
tar -xzf "$work/converse.tgz" -C "$work" package/dist package/LICENSE
# Source maps are of no use to visitors, and large.
find "$work/package/dist" -name '*.map' -delete

mkdir -p "$site"
rm -rf "$site/converse"
cp -R "$work/package/dist" "$site/converse"
cp "$work/package/LICENSE" "$site/converse/LICENSE"
cp "$here/index.html" "$site/index.html"
# The settings may have been changed by hand.
if [ ! -e "$site/site.js" ]; then
	cp "$here/site.js" "$site/site.js"
fi
chmod -R a+rX "$site"
echo "Converse.js $VERSION is in $site. Next: conf/converse/nginx.conf."
