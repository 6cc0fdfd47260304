#!/bin/sh
# Passwords and tokens of compose.yaml, at random; what is there is never overwritten.
# usage: secrets.sh                  make what is missing
#        secrets.sh account GATEWAY  an account at the broker; its password is printed once
set -eu
umask 027
cd "$(dirname "$0")"

GID="${EGRET_GID:-10001}"
ROUNDS=101 # as mosquitto_passwd: the passwords are random, so a slow hash would add nothing
MADE="broker_centre_password influxdb_password influxdb_token grafana_admin_password postgresql_password"
# Made by a running service: README.md says by which command. Compose wants the files at once.
LATER="egret_viewer_token influxdb_grafana_token"

fail() {
    echo "secrets.sh: $1" >&2
    exit "$2"
}

command -v openssl >/dev/null || fail "openssl is not here: install it (Debian: openssl)" 3

# A line of Mosquitto's password file: PBKDF2 of SHA-512.
account() {
    salt="$(openssl rand -base64 12)"
    hexsalt="$(printf '%s' "$salt" | openssl base64 -d -A | od -An -tx1 | tr -d ' \n')"
    hash="$(openssl kdf -keylen 64 -kdfopt digest:SHA512 -kdfopt "pass:$2" \
        -kdfopt "hexsalt:$hexsalt" -kdfopt "iter:$ROUNDS" -binary PBKDF2 | openssl base64 -A)"
    printf '%s:$7$%s$%s$%s\n' "$1" "$ROUNDS" "$salt" "$hash" >>secrets/broker_accounts
}

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
    [ -s secrets/broker_accounts ] || account centre "$(cat secrets/broker_centre_password)"
    ;;
account)
    id="${2:-}"
    case "$id" in
    "" | *[!A-Za-z0-9_-]* | centre) fail "'$id' is no gateway's id: 1 to 48 of A-Z a-z 0-9 _ -" 2 ;;
    esac
    [ "${#id}" -le 48 ] || fail "'$id' is no gateway's id: at most 48 letters" 2
    [ -s secrets/broker_accounts ] || fail "make the others first: secrets.sh without arguments" 1
    ! grep -q "^$id:" secrets/broker_accounts || fail "$id has an account: take its line out of secrets/broker_accounts to make it anew" 1
    password="$(openssl rand -hex 32)"
    account "$id" "$password"
    echo "$password"
    ;;
*) fail "it takes nothing, or: account GATEWAY" 2 ;;
esac
share
