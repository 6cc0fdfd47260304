#!/bin/sh
# Mosquitto from the files that the centre writes; it reads them anew whenever they have changed.
# usage: run.sh [FOLDER]        FOLDER: the [enrolment] folder (/etc/egret/broker)
set -u
FOLDER="${1:-/etc/egret/broker}"
LOOK_S=1

# Files are replaced whole, one after the other: each is another one then. A look between two of
# them leads to one more reload, and none is missed.
seen() {
    stat -c '%i %Y %s' "$FOLDER/mosquitto.acl" "$FOLDER/mosquitto.passwd" "$FOLDER/server.pem"
}

pause() {
    sleep "$LOOK_S" &
    wait $!
}

broker=""
stop() {
    trap '' TERM INT
    if [ -n "$broker" ]; then
        kill -TERM "$broker"
        wait "$broker"
    fi
    exit 0
}
trap stop TERM INT

until [ -r "$FOLDER/mosquitto.conf" ]; do
    echo "run.sh: no $FOLDER/mosquitto.conf: egret-aggregator ca init makes it" >&2
    pause
done
before="$(seen)"
mosquitto -c "$FOLDER/mosquitto.conf" &
broker=$!
while kill -0 "$broker" 2>/dev/null; do
    pause
    now="$(seen)"
    if [ "$now" != "$before" ]; then
        before="$now"
        kill -HUP "$broker"
    fi
done
wait "$broker"
