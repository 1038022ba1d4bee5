#!/bin/sh
# Ready is: there is a leader, it knows the management token and those of all grants, and no others of the same policies.
# A management token that was made anew is made known the way Consul has for a lost one, by a file in its data folder, so
# that a rotation needs no old one.
set -eu
at=http://127.0.0.1:8500/v1
secrets=/run/secrets
data=/consul/data
management=00000000-0000-0000-0000-000000000001

ask() { curl --silent --show-error --fail --max-time 5 --config "$secrets/request" "$@"; }
tell() { ask --output /dev/null --request PUT --data "@$1" "$2"; }
knows() { ask --output /dev/null "$at/acl/token/$1" 2> /dev/null; }
bootstrap() { curl --silent --max-time 5 --request PUT --data "@$secrets/bootstrap" "$at/acl/bootstrap"; }
member() { grep -o "\"$1\":\"[^\"]*\"" | cut -d '"' -f 4; }

# only POLICY ACCESSOR: of the tokens with that policy, this one stays
only() {
    for other in $(ask "$at/acl/tokens?policy=$1" | member AccessorID); do
        [ "$other" = "$2" ] || ask --output /dev/null --request DELETE "$at/acl/token/$other"
    done
}

# grant NAME: its policy and its token are as its files say
grant() {
    policy=$(ask "$at/acl/policy/name/$1" 2> /dev/null | member ID | head -n 1) || true
    tell "$secrets/$1.policy" "$at/acl/policy${policy:+/$policy}"
    accessor=$(member AccessorID < "$secrets/$1.token")
    if knows "$accessor"; then tell "$secrets/$1.token" "$at/acl/token/$accessor"; else tell "$secrets/$1.token" "$at/acl/token"; fi
    only "$(ask "$at/acl/policy/name/$1" | member ID | head -n 1)" "$accessor"
}

case $(curl --silent --fail --max-time 5 "$at/status/leader") in
    *:*) ;;
    *) echo "no leader yet" && exit 1 ;;
esac

if ! knows self; then
    case $(bootstrap) in
        *"(reset index: "*)
            index=$(bootstrap | sed -n 's/.*(reset index: \([0-9]*\)).*/\1/p')
            printf %s "$index" > "$data/acl-bootstrap-reset"
            bootstrap > /dev/null
            ;;
    esac
fi
only "$management" "$(ask "$at/acl/token/self" | member AccessorID | head -n 1)"

for file in "$secrets"/*.policy; do
    grant "$(basename "$file" .policy)"
done
