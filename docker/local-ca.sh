#!/bin/sh
# A local CA, and a certificate for each service of compose.yaml that is spoken to by HTTPS or SQL.
# The broker has a CA of its own, which `egret-aggregator ca init` makes.
# usage: local-ca.sh [NAME ...]     NAME: a name or address of this machine, as others call it
#        local-ca.sh --renew [NAME ...]     new certificates from the same CA
# What is there is never overwritten without --renew; the CA never is.
set -eu
umask 027
cd "$(dirname "$0")"

CA_DAYS=7300 # twenty years: everyone who trusts it would have to be told of another
DAYS=825     # what browsers accept at most
GID="${EGRET_GID:-10001}"
SERVICES="influxdb front grafana postgresql"

fail() {
    echo "local-ca.sh: $1" >&2
    exit "$2"
}

renew=no
if [ "${1:-}" = "--renew" ]; then
    renew=yes
    shift
fi
case "${1:-}" in
-*) fail "unknown option $1; it takes --renew, then names of this machine" 2 ;;
esac
command -v openssl >/dev/null || fail "openssl is not here: install it (Debian: openssl)" 3

# A name as the subject's alternative: addresses are told apart by their letters.
alternative() {
    case "$1" in
    *[!0-9A-Za-z.:-]* | "") fail "$1 is no name and no address" 2 ;;
    *:*) echo "IP:$1" ;;
    *[!0-9.]*) echo "DNS:$1" ;;
    *) echo "IP:$1" ;;
    esac
}

names="DNS:localhost,IP:127.0.0.1"
for name in "$@"; do
    found="$(alternative "$name")" || exit 2
    names="$names,$found"
done

mkdir -p ca secrets
chmod 0700 ca
if [ ! -e ca/ca.key ]; then
    openssl ecparam -name prime256v1 -genkey -noout -out ca/ca.key
    openssl req -x509 -new -key ca/ca.key -sha256 -days "$CA_DAYS" \
        -subj "/CN=Egret local CA" -addext "basicConstraints=critical,CA:TRUE,pathlen:0" \
        -addext "keyUsage=critical,keyCertSign,cRLSign" -out ca/ca.pem
    echo "made the CA: ca/ca.pem is for everyone, ca/ca.key for nobody (keep a copy offline)"
fi
cp ca/ca.pem secrets/ca_cert

for service in $SERVICES; do
    if [ -e "secrets/${service}_key" ] && [ "$renew" = no ]; then
        continue
    fi
    openssl ecparam -name prime256v1 -genkey -noout -out "secrets/.${service}_key"
    printf 'basicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:%s,%s\n' \
        "$service" "$names" >"ca/$service.ext"
    openssl req -new -key "secrets/.${service}_key" -subj "/CN=$service" |
        openssl x509 -req -CA ca/ca.pem -CAkey ca/ca.key -CAcreateserial -sha256 -days "$DAYS" \
            -extfile "ca/$service.ext" -out "secrets/.${service}_cert" 2>/dev/null
    mv "secrets/.${service}_cert" "secrets/${service}_cert"
    mv "secrets/.${service}_key" "secrets/${service}_key"
    echo "made the certificate of $service for $names"
done

chmod 0750 secrets
chmod 0640 secrets/*
if ! chgrp -R "$GID" secrets 2>/dev/null; then
    fail "cannot give ./secrets to group $GID: run as root, or set EGRET_GID to a group of yours" 3
fi
