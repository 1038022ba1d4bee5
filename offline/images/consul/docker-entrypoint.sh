#!/bin/sh
# `agent ...` gets the data and configuration folders; any other subcommand, and any other program, runs as given.
set -eu
data=${CONSUL_DATA_DIR:-/consul/data} config=${CONSUL_CONFIG_DIR:-/consul/config}

if [ -n "${CONSUL_LOCAL_CONFIG:-}" ]; then
    printf '%s\n' "$CONSUL_LOCAL_CONFIG" > "$config/local.json"
fi
case "${1:-}" in
    agent)
        shift
        [ -z "${CONSUL_BIND_INTERFACE:-}" ] || set -- "-bind={{ GetInterfaceIP \"$CONSUL_BIND_INTERFACE\" }}" "$@"
        [ -z "${CONSUL_CLIENT_INTERFACE:-}" ] || set -- "-client={{ GetInterfaceIP \"$CONSUL_CLIENT_INTERFACE\" }}" "$@"
        set -- consul agent "-data-dir=$data" "-config-dir=$config" "$@"
        ;;
    -*) set -- consul "$@" ;;
    *) if ! command -v "${1:-}" > /dev/null; then set -- consul "$@"; fi ;;
esac
if [ "$1" = consul ] && [ "$(id -u)" = 0 ] && [ -z "${CONSUL_DISABLE_PERM_MGMT:-}" ]; then
    chown consul:consul "$data" "$config"
    exec setpriv --reuid consul --regid consul --init-groups "$@"
fi
exec "$@"
