GATEWAY=https://localhost:4300 AUTH=$GATEWAY/api/v1/auth JAR=$(mktemp)
c() { curl -sS --cacert ca.pem -b "$JAR" -c "$JAR" "$@"; }   # ca.pem: curl http://localhost:3500/v1/pki/ca/pem
VERIFIER=$(openssl rand -hex 32)
CHALLENGE=$(printf %s "$VERIFIER" | openssl dgst -sha256 -binary | basenc --base64url | tr -d =)
ASK="response_type=code&client_id=nexus&redirect_uri=http://localhost:8765/callback&scope=openid+profile+roles"
ASK="$ASK&state=1&code_challenge=$CHALLENGE&code_challenge_method=S256"

# the sign-in page; its form has a hidden field against forgery
CSRF=$(c "$AUTH/authorize?$ASK" | sed -n 's/.*name="csrf" value="\([^"]*\)".*/\1/p')
printf 'password of admin: ' >&2 && read -rs PASSWORD   # secret/users/admin, or the stack's output
# answers with a redirect: http://localhost:8765/callback?code=...&state=1&iss=...
CODE=$(printf %s "$PASSWORD" | c -o /dev/null -w '%{redirect_url}' "$AUTH/login" -H "Origin: $GATEWAY" \
  --data-urlencode "csrf=$CSRF" --data-urlencode "request=$ASK" \
  --data-urlencode username=admin --data-urlencode password@- | sed 's/.*code=\([^&]*\).*/\1/')

TOKEN=$(c "$AUTH/token" -d grant_type=authorization_code -d client_id=nexus -d "code=$CODE" \
  -d redirect_uri=http://localhost:8765/callback -d "code_verifier=$VERIFIER" |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])')
c -H "Authorization: Bearer $TOKEN" "$AUTH/userinfo"
