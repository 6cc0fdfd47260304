#!/bin/sh
# Passwords and tokens of compose.yaml, at random; what is there is never overwritten.
# usage: secrets.sh        make what is missing; the broker's are made by `egret-aggregator ca init`
set -eu
umask 027
cd "$(dirname "$0")"

GID="${EGRET_GID:-10001}"
MADE="influxdb_password influxdb_token grafana_admin_password postgresql_password"
# Made by a running service: docs/operator/docker.md says by which command. Compose wants the files at once.
LATER="egret_viewer_token influxdb_grafana_token"

fail() {
    echo "secrets.sh: $1" >&2
    exit "$2"
}

command -v openssl >/dev/null || fail "openssl is not here: install it (Debian: openssl)" 3

share() {
    chmod 0750 secrets
    chmod 0640 secrets/*
    if ! chgrp -R "$GID" secrets 2>/dev/null; then
        fail "cannot give ./secrets to group $GID: run as root, or set EGRET_GID to a group of yours" 3
    fi
}

mkdir -p secrets
case "${1:-}" in
"")
    for name in $MADE; do
        [ -s "secrets/$name" ] || openssl rand -hex 32 | tr -d '\n' >"secrets/$name"
    done
    for name in $LATER; do
        [ -e "secrets/$name" ] || : >"secrets/$name"
    done
    ;;
*) fail "it takes nothing" 2 ;;
esac
share
