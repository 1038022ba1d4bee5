#!/bin/bash
# `eswrapper` starts Elasticsearch with every environment name that has a dot as a setting, as the original does; any
# other program runs as given. Settings of parts that are not in this build (x-pack, GeoIP) are left out, or the server
# would refuse them: one declaration serves the original too.
set -eu
umask 0002
[ "${1:-}" = eswrapper ] || exec "$@"

options=()
while IFS='=' read -r -d '' name value; do
    case $name in
        xpack.* | ingest.*) ;;
        [a-z]*.*) [ -z "$value" ] || options+=("-E$name=$value") ;;
    esac
done < /proc/self/environ
exec elasticsearch "${options[@]}"
