#!/bin/bash
# Starts RabbitMQ or one of its tools; as root, first becomes the server's user.
set -eu
case "${1:-}" in
    rabbitmq*)
        if [ "$(id -u)" = 0 ]; then
            [ "$1" != rabbitmq-server ] || chown --recursive rabbitmq /var/lib/rabbitmq
            exec setpriv --reuid rabbitmq --regid rabbitmq --init-groups "$0" "$@"
        fi
        ;;
esac
exec "$@"
