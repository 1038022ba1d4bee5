#!/bin/sh
# Ready is: there is a leader, it knows the management token, and no other token is as powerful. A token that was made
# anew is made known the way Consul has for a lost one, by a file in its data folder, so that rotation needs no old one.
set -eu
at=http://127.0.0.1:8500/v1
secrets=/run/secrets
data=/consul/data

ask() { curl --silent --show-error --fail --max-time 5 --config "$secrets/request" "$@"; }
bootstrap() { curl --silent --max-time 5 --request PUT --data "@$secrets/bootstrap" "$at/acl/bootstrap"; }
accessors() { grep -o '"AccessorID":"[^"]*"' | cut -d '"' -f 4; }

case $(curl --silent --fail --max-time 5 "$at/status/leader") in
    *:*) ;;
    *) echo "no leader yet" && exit 1 ;;
esac

if ! ask --output /dev/null "$at/acl/token/self" 2> /dev/null; then
    case $(bootstrap) in
        *"(reset index: "*)
            index=$(bootstrap | sed -n 's/.*(reset index: \([0-9]*\)).*/\1/p')
            printf %s "$index" > "$data/acl-bootstrap-reset"
            bootstrap > /dev/null
            ;;
    esac
fi

own=$(ask "$at/acl/token/self" | accessors | head -n 1)
for other in $(ask "$at/acl/tokens?policy=00000000-0000-0000-0000-000000000001" | accessors); do
    [ "$other" = "$own" ] || ask --output /dev/null --request DELETE "$at/acl/token/$other"
done
