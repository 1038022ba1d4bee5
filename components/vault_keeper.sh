#!/bin/sh
# Initialises and unseals the Vault beside it, makes the stack's token, and keeps that token alive.
#
#   vault_keeper.sh ADDRESS KEY-VOLUME DATA-VOLUME      (the volumes are named in messages only)
#
# Every step looks at what is there and does what is missing, so that a kill anywhere is made good by the next round.
# A key or token is never an argument or in the environment: it goes through a pipe, or through a file in memory (/tmp).
# The unseal key alone is stored. A root token exists for the seconds of a bootstrap and is never written to a disk.
set -u
umask 077
export VAULT_ADDR="$1" HOME=/tmp/keeper
volume=$2 vault_volume=$3
keys=/vault/file files=/run/secrets token=$HOME/.vault-token # where the client looks for its token
look="$VAULT_ADDR/v1/sys/health?uninitcode=200&sealedcode=200&standbycode=200"
said='' due=0 waited=0
trap 'exit 0' TERM INT
mkdir -p "$HOME"
rm -f "$token"

# The health check fails once nothing was heard for longer than what was said last: `silent SECONDS`.
silent() {
    echo "$(($(date +%s) + $1))" > /tmp/alive
}

# The gate of an `up` reads the state; the log gets what changes.
say() {
    [ "$1" = "$said" ] || echo "keeper: $1"
    said=$1
    echo "$1" > /tmp/state
}

# A step of Vault's client, which gives up after a minute; `wrong` says what failed.
run() {
    silent 70
    vault "$@" 2> /tmp/error
}

wrong() {
    say "$1: $(tr '\n' ' ' < /tmp/error | cut -c 1-300)"
    return 1
}

initialise() {
    if [ -e "$keys/in-use" ]; then
        say "Vault is empty, but volume $volume keeps the key of one that was in use. Restore volume $vault_volume\
 from its backup; or, to begin with an empty Vault, remove volume $volume and restart this container"
        return
    fi
    say 'initialising Vault'
    run operator init -format=json -key-shares=1 -key-threshold=1 \
        | sed -n '/"unseal_keys_b64"/{n;s/[ ",]//g;p;}' > "$keys/unseal-key.new"
    [ -s "$keys/unseal-key.new" ] || { wrong 'Vault could not be initialised'; return; }
    chmod 400 "$keys/unseal-key.new"
    sync
    mv -f "$keys/unseal-key.new" "$keys/unseal-key"
    sync
}

has_key() {
    [ -e "$keys/unseal-key" ] || {
        say "Vault is initialised, but volume $volume has no key for it. If it never held anything, it starts over by\
 itself within two minutes. Else restore volume $volume from its backup; or, to begin with an empty Vault, remove\
 volume $vault_volume"
        return 1
    }
}

unseal() {
    has_key || return
    say 'unsealing Vault'
    { printf '{"key":"'; tr -d '\n' < "$keys/unseal-key"; printf '"}'; } | run write sys/unseal - > /dev/null \
        || wrong "Vault does not take the key in volume $volume"
}

# What follows is only done while Vault is unsealed and active.
tend() {
    due=$((due - 1))
    [ "$due" -le 0 ] || { say ready; return; }
    if renewed || bootstrap; then
        due=900 # rounds of 4 s: an hour
        say ready
    else
        due=0
    fi
}

# True if the stack's token works, by the policy it should have, and no root token was left behind.
renewed() {
    cmp -s "$files/stack-policy.hcl" "$keys/bootstrapped" || return 1
    cat "$files/stack-token" > "$token"
    run token renew > /dev/null
    code=$?
    rm -f "$token"
    return $code
}

bootstrap() {
    has_key || return 1
    say 'giving the stack its token'
    become_root && audited && permitted && revoke_others
    code=$?
    rm -f "$token"
    [ "$code" = 0 ] || { wrong 'Vault could not be prepared'; return 1; }
    cat "$files/stack-policy.hcl" > "$keys/bootstrapped.new"
    mv -f "$keys/bootstrapped.new" "$keys/bootstrapped"
}

# A root token by the unseal key (generate-root): the answer is the token, masked with a one-time pad that came before.
become_root() {
    run operator generate-root -cancel > /dev/null
    run operator generate-root -init -format=json > "$HOME/attempt" || return 1
    nonce=$(field nonce < "$HOME/attempt") pad=$(field otp < "$HOME/attempt")
    run operator generate-root -format=json "-nonce=$nonce" - < "$keys/unseal-key" > "$HOME/attempt" || return 1
    masked=$(field encoded_token < "$HOME/attempt")
    rm -f "$HOME/attempt"
    while [ $((${#masked} % 4)) -ne 0 ]; do masked="$masked="; done
    # shellcheck disable=SC2046
    set -- $(printf %s "$pad" | numbers)
    for byte in $(printf %s "$masked" | base64 -d | numbers); do
        # shellcheck disable=SC2059
        printf "\\$(printf %03o $((byte ^ $1)))"
        shift
    done > "$token"
    pad='' masked=''
}

field() {
    sed -n "s/^ *\"$1\": \"\(.*\)\",*\$/\1/p"
}

numbers() {
    od -An -v -tu1
}

# Two devices, as Vault answers nothing when none of them can be written. The file comes first: see vault_server.sh.
audited() {
    run audit list > "$HOME/devices" || true # ends with an error when there are none
    grep -q '^file/' "$HOME/devices" \
        || run audit enable -path=file file file_path=/vault/file/audit/audit.log > /dev/null || return 1
    grep -q '^stdout/' "$HOME/devices" || run audit enable -path=stdout file file_path=stdout > /dev/null || return 1
}

permitted() {
    run policy write nexus-stack "$files/stack-policy.hcl" > /dev/null || return 1
    : > "$keys/in-use"
    {
        printf '{"id":"'
        tr -d '\n' < "$files/stack-token"
        printf '","policies":["nexus-stack"],"no_default_policy":true,"period":"768h","display_name":"stack"}'
    } | run write auth/token/create-orphan - > /dev/null || grep -q 'duplicate ID' /tmp/error
}

# Other tokens of the stack are from before its token was rotated. Other root tokens are of a run that was killed, or the
# one that initialising makes; the one in use goes last.
revoke_others() {
    own=$(run token lookup -format=json | field accessor)
    stack=$({ printf '{"token":"'; tr -d '\n' < "$files/stack-token"; printf '"}'; } \
        | run write -format=json auth/token/lookup - | field accessor)
    [ -n "$own" ] && [ -n "$stack" ] || return 1
    run list -format=json auth/token/accessors > "$HOME/accessors" || return 1
    for accessor in $(tr -d '[]," ' < "$HOME/accessors"); do
        [ "$accessor" != "$own" ] && [ "$accessor" != "$stack" ] || continue
        # One that has just expired has no policies, and is no reason to stop.
        case $(run token lookup -format=json -accessor "$accessor" | tr -d '[:space:]') in
            *'"policies":["root"]'* | *'"policies":["nexus-stack"]'*)
                run token revoke -accessor "$accessor" > /dev/null || return 1
                ;;
        esac
    done
    run token revoke -self > /dev/null
}

# Often while there is something to wait for, an `up` for example; seldom once all is well, or nothing has come of it.
pause() {
    [ "$said" = ready ] || due=0
    if [ "$due" -gt 0 ]; then
        waited=0 seconds=4
    elif [ "$waited" -lt 200 ]; then
        waited=$((waited + 1)) seconds=0.3
    else
        seconds=2
    fi
    sleep "$seconds" &
    wait $!
}

while :; do
    silent 10 # 5 for the answer, 4 for the pause
    answer=''
    if wget -q -t 1 -T 5 -O /tmp/health "$look" 2> /dev/null; then
        read -r answer < /tmp/health
    fi
    case $answer in
        *'"initialized":false'*) initialise ;;
        *'"sealed":true'*) unseal ;;
        *'"standby":true'*) say 'Vault is unsealed and about to become active' ;;
        *'"standby":false'*) tend ;;
        *) say "Vault does not answer at $VAULT_ADDR" ;;
    esac
    pause
done
