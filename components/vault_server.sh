#!/bin/sh
# Runs Vault, rotates its audit file, and lets a Vault start over that was initialised but never came to hold anything.
#
# The audit file proves that it holds something: enabling it is the first thing the keeper does with a Vault, before
# any token, policy or secret exists. Without that file, a Vault that stays sealed is one whose key was lost between its
# making and its writing (the keeper was killed just then), and is as good as empty.
set -eu
umask 077
config=$1 patience=$2 data=/vault/file # patience: seconds that a Vault without use may stay sealed
log=$data/audit/audit.log

if [ -e "$data/start-over" ]; then
    echo "server: this Vault never held anything and its key was lost: starting over"
    rm -rf "$data/raft"
    rm "$data/start-over"
fi
mkdir -p "$data/raft" "$data/audit"

watch() {
    sealed=0
    while sleep 5; do
        if [ -e "$log" ] || [ -e "$data/in-use" ]; then
            rotate
        elif wget -q -t 1 -T 3 -O - "$VAULT_ADDR/v1/sys/seal-status" 2> /dev/null \
            | grep -q '"initialized":true,"sealed":true'; then
            sealed=$((sealed + 5))
            [ "$sealed" -lt "$patience" ] || { : > "$data/start-over" && kill "$$"; }
        else
            sealed=0
        fi
    done
}

# Two files of 20 MB: the same lines go to the container's output, from where they are shipped.
rotate() {
    : > "$data/in-use"
    while sleep 30; do
        if [ "$(stat -c %s "$log" 2> /dev/null || echo 0)" -gt 20000000 ]; then
            mv "$log" "$log.1"
            kill -HUP "$$" # Vault opens the file again
        fi
    done
}

watch &
exec vault server "-config=$config"
