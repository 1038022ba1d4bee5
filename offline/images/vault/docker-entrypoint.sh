#!/bin/sh
# `server ...` gets the configuration folder; options and subcommands are Vault's, any other program runs as given.
set -eu
ulimit -c 0
config=/vault/config

if [ -n "${VAULT_LOCAL_CONFIG:-}" ]; then
    printf '%s\n' "$VAULT_LOCAL_CONFIG" > "$config/local.json"
fi
case "${1:-}" in
    server)
        shift
        set -- vault server "-config=$config" "-dev-root-token-id=${VAULT_DEV_ROOT_TOKEN_ID:-}" \
            "-dev-listen-address=${VAULT_DEV_LISTEN_ADDRESS:-0.0.0.0:8200}" "$@"
        ;;
    -*) set -- vault "$@" ;;
    *) if ! command -v "${1:-}" > /dev/null; then set -- vault "$@"; fi ;;
esac
if [ "$1" = vault ] && [ "$(id -u)" = 0 ]; then
    [ -n "${SKIP_CHOWN:-}" ] || chown --recursive vault:vault "$config" /vault/file
    exec setpriv --reuid vault --regid vault --init-groups "$@"
fi
exec "$@"
