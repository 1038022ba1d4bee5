#!/bin/sh
# Starts redis-server, also when only its options or its configuration file are given. Files it writes are private.
set -eu
case "${1:-}" in
    -* | *.conf) set -- redis-server "$@" ;;
esac
if [ "$1" = redis-server ]; then
    umask 0077
    if [ "$(id -u)" = 0 ]; then
        chown --recursive redis:redis .
        exec setpriv --reuid redis --regid redis --init-groups "$@"
    fi
fi
exec "$@"
