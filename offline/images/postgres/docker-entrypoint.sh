#!/bin/bash
# Starts PostgreSQL; on an empty data folder it first makes the cluster, the database and runs the init scripts.
set -euo pipefail

fail() { echo "$*" >&2; exit 1; }

# setting NAME [DEFAULT]: the value of NAME, or of the file that NAME_FILE names
setting() {
    local name=$1 file="${1}_FILE"
    if [ -n "${!name:-}" ]; then
        [ -z "${!file:-}" ] || fail "$name and $file are both set: keep one"
        printf %s "${!name}"
    elif [ -n "${!file:-}" ]; then
        cat "${!file}"
    else
        printf %s "${2:-}"
    fi
}

run_init_file() {
    local sql=(psql --set ON_ERROR_STOP=1 --no-psqlrc --quiet --username "$user" --dbname "$database")
    echo "running $1"
    case $1 in
        *.sh) if [ -x "$1" ]; then "$1"; else . "$1"; fi ;;
        *.sql) "${sql[@]}" --file "$1" ;;
        *.sql.gz) gunzip --stdout "$1" | "${sql[@]}" ;;
        *.sql.xz) xz --decompress --stdout "$1" | "${sql[@]}" ;;
        *.sql.zst) zstd --decompress --stdout "$1" | "${sql[@]}" ;;
        *) echo "ignored: $1" ;;
    esac
}

# Everything happens in a folder inside the data folder and moves up at the end, PG_VERSION last: whoever is killed half
# way leaves nothing that looks like a cluster, and the next start begins anew.
initialise() {
    local data=$PGDATA user database password arguments method file
    user=$(setting POSTGRES_USER postgres)
    database=$(setting POSTGRES_DB "$user")
    password=$(setting POSTGRES_PASSWORD)
    read -ra arguments <<< "$(setting POSTGRES_INITDB_ARGS)"
    method=${POSTGRES_HOST_AUTH_METHOD:-scram-sha-256}
    [ -n "$password" ] || [ "$method" = trust ] || fail \
        "no password for the superuser: set POSTGRES_PASSWORD_FILE to a file that holds it"

    find "$data" -mindepth 1 -delete
    export PGDATA=$data/.initialising
    mkdir --mode 0700 "$PGDATA"
    # Flushed once, below, and not by every step: that is most of the time of a first start.
    initdb --no-sync --username "$user" --pwfile <(printf '%s\n' "$password") ${arguments[@]+"${arguments[@]}"}
    echo "host all all all $method" >> "$PGDATA/pg_hba.conf"

    # Only on the socket: nothing may take this server for the real one.
    export PGUSER=$user PGPASSWORD=$password POSTGRES_USER=$user POSTGRES_DB=$database
    pg_ctl --wait --silent --options "$(printf '%q ' "$@" -c listen_addresses= -c fsync=off)" start
    if [ "$database" != postgres ]; then
        createdb --maintenance-db postgres -- "$database"
    fi
    for file in /docker-entrypoint-initdb.d/*; do
        [ ! -e "$file" ] || run_init_file "$file"
    done
    pg_ctl --wait --silent --mode fast stop
    rm -f "$PGDATA/postmaster.opts"
    find "$PGDATA" -mindepth 1 -maxdepth 1 ! -name PG_VERSION -exec mv --target-directory "$data" {} +
    sync --file-system "$data"
    mv "$PGDATA/PG_VERSION" "$data"
    rmdir "$PGDATA"
    export PGDATA=$data
    unset PGUSER PGPASSWORD
}

main() {
    case ${1:-} in
        -*) set -- postgres "$@" ;;
    esac
    if [ "${1:-}" != postgres ] || [[ " $* " =~ \ (--help|-\?|--version|-V|--describe-config)\  ]]; then
        exec "$@"
    fi
    mkdir -p "$PGDATA"
    if [ "$(id -u)" = 0 ]; then
        chown --recursive postgres:postgres "$PGDATA" /var/run/postgresql
        exec setpriv --reuid postgres --regid postgres --init-groups "$0" "$@"
    fi
    chmod 0700 "$PGDATA" || true
    if [ ! -s "$PGDATA/PG_VERSION" ]; then
        initialise "${@:2}"
    fi
    unset POSTGRES_PASSWORD
    exec "$@"
}

main "$@"
