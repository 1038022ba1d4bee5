package plugin

import (
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"
	"time"

	"nexus/standins/kong/internal/schema"
	"nexus/standins/kong/internal/store"
)

var jwt = Definition{
	Name: "jwt", Version: "3.9.1", Priority: 1450, NoConsumer: true,
	Config: []schema.Field{
		stringSet("uri_param_names", "jwt"), stringSet("cookie_names"),
		{Name: "key_claim_name", Type: schema.String, Default: "iss"},
		schema.Flag("secret_is_base64", false),
		schema.SetOf("claims_to_verify", schema.Field{Type: schema.String, OneOf: schema.Strings("exp", "nbf")}),
		anonymousField(), schema.Flag("run_on_preflight", true),
		{Name: "maximum_expiration", Type: schema.Number, Default: 0.0, Between: schema.Between(0, 31536000)},
		stringSet("header_names", "authorization"), schema.Text("realm"),
	},
	Checks: []schema.EntityCheck{{Label: "conditional", Run: checkExpiration}},
	New: func(config map[string]any) any {
		return &tokens{
			authentication: newAuthentication(config), claim: str(config, "key_claim_name"),
			params: strs(config, "uri_param_names"), cookies: strs(config, "cookie_names"),
			headers: strs(config, "header_names"), base64: flag(config, "secret_is_base64"),
			verify: strs(config, "claims_to_verify"), maximum: num(config, "maximum_expiration"),
			challenge: challenge("Bearer", str(config, "realm")),
		}
	},
}

func stringSet(name string, words ...string) schema.Field {
	f := schema.SetOf(name, schema.Field{Type: schema.String})
	f.Default = schema.Strings(words...)
	return f
}

func checkExpiration(entity map[string]any, errs *schema.Errors) {
	config := record(entity, "config")
	if num(config, "maximum_expiration") <= 0 {
		return
	}
	for _, claim := range strs(config, "claims_to_verify") {
		if claim == "exp" {
			return
		}
	}
	message := "expected to contain: exp"
	if config["claims_to_verify"] == nil {
		message = "required field missing"
	}
	errs.SetPath(message, "config", "claims_to_verify")
	errs.Add("failed conditional validation given value of field 'config.maximum_expiration'")
}

type tokens struct {
	authentication
	claim                    string
	params, cookies, headers []string
	verify                   []string
	base64                   bool
	maximum                  float64
	challenge                string
}

// refusal is a 401: its body, and whether a token was there.
type refusal struct {
	body  any
	token bool
}

func badToken(message string) *refusal {
	return &refusal{map[string]any{"message": message}, true}
}

func (p *tokens) Access(x *Exchange) {
	var failed *refusal
	p.run(x, func() bool { failed = p.authenticate(x); return failed == nil }, func() {
		value := p.challenge
		if failed.token {
			value += ` error="invalid_token"`
		}
		x.SetHeader("WWW-Authenticate", value)
		x.Message(http.StatusUnauthorized, failed.body)
	})
}

func (p *tokens) authenticate(x *Exchange) *refusal {
	found := p.find(x.Request)
	switch {
	case len(found) == 0:
		return &refusal{map[string]any{"message": "Unauthorized"}, false}
	case len(found) > 1:
		return badToken("Multiple tokens provided")
	}
	token, problem := parseToken(found[0])
	if problem != "" {
		return badToken("Bad token; " + problem)
	}
	key, given := token.text(p.claim)
	switch {
	case !given:
		return badToken("No mandatory '" + p.claim + "' in claims")
	case key == "":
		return badToken("Invalid '" + p.claim + "' in claims")
	}
	credential := x.Directory.Credential("jwt_secrets", key)
	if credential == nil {
		return badToken("No credentials found for given '" + p.claim + "'")
	}
	if token.algorithm != credential["algorithm"] {
		return badToken("Invalid algorithm")
	}
	secret := p.secret(x.Directory, credential, token.algorithm)
	if secret == nil {
		return badToken("Invalid key/secret")
	}
	if !verifySignature(token.algorithm, token.signed, token.signature, secret) {
		return badToken("Invalid signature")
	}
	if problems := p.check(token.claims, float64(time.Now().Unix())); len(problems) > 0 {
		return &refusal{problems, true}
	}
	x.identify(x.Directory.Owner(credential), credential, key)
	return nil
}

// secret is what the signature is verified with: bytes, a public key, or nil.
func (p *tokens) secret(d *Directory, credential store.Entity, algorithm string) any {
	if !strings.HasPrefix(algorithm, "HS") {
		return d.keys[store.ID(credential)]
	}
	text, _ := credential["secret"].(string)
	if !p.base64 {
		return []byte(text)
	}
	raw, err := decodeBase64(text)
	if err != nil {
		return nil
	}
	return raw
}

// check verifies the registered claims.
func (p *tokens) check(claims map[string]any, now float64) map[string]any {
	problems := map[string]any{}
	for _, name := range p.verify {
		at, isNumber := claims[name].(float64)
		switch {
		case !isNumber:
			problems[name] = "must be a number"
		case name == "exp" && at <= now:
			problems[name] = "token expired"
		case name == "nbf" && at > now:
			problems[name] = "token not valid yet"
		}
	}
	if len(problems) > 0 || p.maximum <= 0 {
		return problems
	}
	if at, isNumber := claims["exp"].(float64); !isNumber || at-now > p.maximum {
		problems["exp"] = "exceeds maximum allowed expiration"
	}
	return problems
}

var bearer = regexp.MustCompile(`[Bb]earer\s+(.+)`)

// find lists the different tokens of a request: of the query, of cookies, of headers.
func (p *tokens) find(r *http.Request) []string {
	var found []string
	add := func(token string) {
		for _, have := range found {
			if have == token {
				return
			}
		}
		if token != "" {
			found = append(found, token)
		}
	}
	if r.URL.RawQuery != "" && len(p.params) > 0 {
		query := r.URL.Query()
		for _, name := range p.params {
			for _, token := range query[name] {
				add(token)
			}
		}
	}
	for _, name := range p.cookies {
		if cookie, err := r.Cookie(name); err == nil {
			add(cookie.Value)
		}
	}
	for _, name := range p.headers {
		if m := bearer.FindStringSubmatch(r.Header.Get(name)); m != nil {
			add(m[1])
		}
	}
	return found
}

func decodeBase64(text string) ([]byte, error) {
	return base64.RawURLEncoding.DecodeString(strings.TrimRight(text, "="))
}
