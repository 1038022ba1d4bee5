#!/bin/sh
# Options alone are options of consul-esm.
set -eu
case "${1:-}" in
    -*) set -- /bin/consul-esm "$@" ;;
esac
exec "$@"
