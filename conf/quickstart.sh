#!/bin/sh
# From a fresh Debian 12 to a page that logs in: installs what is needed, builds, and starts the gateway.
#
#     sh conf/quickstart.sh [--port N] [--no-demo]
#
#     --port N     where the gateway listens (5280)
#     --no-demo    no demonstration server: the gateway alone, on its defaults, for any federated XMPP server
#
# Ctrl-C stops all that was started. Everything made is under build/.
set -eu

BUILD_PACKAGES='meson ninja-build pkg-config gcc libc6-dev libmicrohttpd-dev libssl-dev libc-ares-dev
	libexpat1-dev libuv1-dev libidn2-dev libseccomp-dev uthash-dev zlib1g-dev ca-certificates'
DEMO_PACKAGES='prosody openssl'
DOMAIN=demo.test
GUESTS=guest.demo.test
PROSODY_PORT=15222

usage() {
	sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"
}

port=5280
is_demo=yes
while [ $# -gt 0 ]; do
	case $1 in
	--port)
		port=${2:-}
		case $port in '' | *[!0-9]*) echo "--port takes a number" >&2; exit 2 ;; esac
		if [ "${#port}" -gt 5 ] || [ "$port" -lt 1 ] || [ "$port" -gt 65535 ]; then
			echo "--port takes a number from 1 to 65535" >&2
			exit 2
		fi
		shift
		;;
	--no-demo) is_demo= ;;
	--help | -h) usage; exit 0 ;;
	*) usage >&2; exit 2 ;;
	esac
	shift
done

cd "$(dirname "$0")/.."
demo=$PWD/build/demo

# Whether something listens on that TCP port, on whatever address.
port_is_busy() {
	hex=$(printf '%04X' "$1")
	cat /proc/net/tcp /proc/net/tcp6 2>/dev/null | awk -v end=":$hex" '
		$4 == "0A" && substr($2, length($2) - 4) == end { found = 1 }
		END { exit !found }'
}

if port_is_busy "$port"; then
	echo "Port $port is taken by another program." >&2
	echo "Choose another one:  sh conf/quickstart.sh --port $((port + 1))" >&2
	echo "(in a configuration file of your own the setting is \`listen\`)" >&2
	exit 1
fi

# shellcheck disable=SC2086  # one word a package
sh conf/install-packages.sh $BUILD_PACKAGES ${is_demo:+$DEMO_PACKAGES}

echo "Building in build/"
sh conf/build.sh --buildtype=release -- gateway/doab

started=
stop() {
	trap '' INT TERM HUP
	for pid in $started; do
		kill -TERM "$pid" 2>/dev/null || :
	done
	wait
}
trap stop EXIT
trap 'exit 0' INT TERM HUP

fill_in() {
	sed -e "s|@FOLDER@|$demo|g" -e "s|@PORT@|$PROSODY_PORT|g" -e "s|@LISTEN@|$port|g" \
		-e "s|@DOMAIN@|$DOMAIN|g" -e "s|@GUESTS@|$GUESTS|g" "conf/demo/$1" >"$demo/$1"
}

start_prosody() {
	while port_is_busy "$PROSODY_PORT"; do
		PROSODY_PORT=$((PROSODY_PORT + 1))
	done
	mkdir -p "$demo/data"
	chmod 700 "$demo"
	if [ ! -f "$demo/certificate.pem" ]; then
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj "/CN=$DOMAIN" \
			-addext "subjectAltName=DNS:$DOMAIN,DNS:$GUESTS" \
			-keyout "$demo/certificate.key" -out "$demo/certificate.pem" 2>/dev/null
	fi
	fill_in prosody.cfg.lua
	fill_in doab.conf
	for user in alice bob; do
		prosodyctl --config "$demo/prosody.cfg.lua" register "$user" "$DOMAIN" "$user-demo" >"$demo/register.log" 2>&1 ||
			{ cat "$demo/register.log" >&2; exit 1; }
	done
	prosody --config "$demo/prosody.cfg.lua" >"$demo/prosody.out" 2>&1 &
	prosody=$!
	started="$started $prosody"
	tries=0
	until port_is_busy "$PROSODY_PORT"; do
		tries=$((tries + 1))
		if [ "$tries" -gt 50 ] || ! kill -0 "$prosody" 2>/dev/null; then
			echo "Prosody does not start:" >&2
			cat "$demo/prosody.out" "$demo/prosody.log" >&2
			exit 1
		fi
		sleep 0.2
	done
}

if [ -n "$is_demo" ]; then
	start_prosody
	build/gateway/doab --config "$demo/doab.conf" &
elif [ "$port" -ne 5280 ]; then
	printf 'listen = {"127.0.0.1:%s", "[::1]:%s"}\n' "$port" "$port" >build/quickstart.conf
	build/gateway/doab --config build/quickstart.conf &
else
	build/gateway/doab &
fi
doab=$!
started="$started $doab"
tries=0
until port_is_busy "$port"; do
	tries=$((tries + 1))
	if [ "$tries" -gt 50 ] || ! kill -0 "$doab" 2>/dev/null; then
		echo "The gateway does not start; its words are above." >&2
		exit 1
	fi
	sleep 0.2
done

cat <<END

  Open     http://127.0.0.1:$port/
END
if [ -n "$is_demo" ]; then
	cat <<END

  Guest    anonymous, domain $GUESTS
           http://127.0.0.1:$port/?domain=$GUESTS&start=1
  Account  alice@$DOMAIN, password alice-demo
           bob@$DOMAIN, password bob-demo
END
fi
cat <<END

  BOSH       http://127.0.0.1:$port/http-bind
  WebSocket  ws://127.0.0.1:$port/xmpp-websocket

  Ctrl-C stops it.

END

wait "$doab" || exit $?
