#!/bin/sh
# Runs Vault, rotates its audit file, and lets a Vault start over that was initialised but never came to hold anything.
#
# The audit file proves that it holds something: enabling it is the first thing the keeper does with a Vault, before
# any token, policy or secret exists. Without that file, a Vault that stays sealed is one whose key was lost between its
# making and its writing (the keeper was killed just then), and is as good as empty. So is one that was killed itself
# while it was being initialised: with a key ring but no seal it answers 500, with less it cannot be initialised again.
set -eu
umask 077
config=$1 patience=$2 data=/vault/file # patience: seconds that a Vault without use may stay sealed
log=$data/audit/audit.log

if [ -e "$data/start-over" ]; then
    echo "server: this Vault never held anything and its key was lost: starting over"
    rm -rf "$data/raft"
    rm "$data/start-over"
fi
[ -e "$data/raft" ] && before=true || before=false
mkdir -p "$data/raft" "$data/audit"

watch() {
    sealed=0
    while sleep 5; do
        if [ -e "$log" ] || [ -e "$data/in-use" ]; then
            rotate # for good
        fi
        case $(wget -t 1 -T 3 -O - "$VAULT_ADDR/v1/sys/seal-status" 2>&1) in
            *'"initialized":true,"sealed":true'*) sealed=$((sealed + 5)) ;;
            *' 500 '* | *'"initialized":false'*) # twice: once, it may just be in the making
                if "$before"; then sealed=$((sealed + (patience + 1) / 2)); fi
                ;;
            *) sealed=0 ;;
        esac
        [ "$sealed" -lt "$patience" ] || { : > "$data/start-over" && kill "$$"; }
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
