#!/bin/sh
# For every KONG_<NAME>_FILE, KONG_<NAME> becomes the content of that file; then the command runs. Directives of nginx
# may end in _file themselves, and are left alone, as the original does.
set -eu
for variable in $(env | grep -v '^KONG_NGINX_' | sed -n 's/^\(KONG_[A-Z0-9_]*\)_FILE=.*/\1/p'); do
    eval "file=\$${variable}_FILE value=\${$variable:-}"
    if [ -n "$value" ]; then
        echo "$variable and ${variable}_FILE are both set: keep one" >&2
        exit 1
    fi
    if [ -n "$file" ]; then
        value=$(cat "$file")
        export "$variable=$value"
    fi
    unset "${variable}_FILE"
done
exec "$@"
