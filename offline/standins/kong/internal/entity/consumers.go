package entity

import (
	"crypto/sha1" //nolint:gosec // the original's password format
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"time"

	s "nexus/standins/kong/internal/schema"
)

var jwtAlgorithms = []string{
	"HS256", "HS384", "HS512", "RS256", "RS384", "RS512",
	"ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA",
}

func consumers() *s.Schema {
	unique := func(name string) s.Field { return s.Field{Name: name, Type: s.String, Unique: true} }
	return &s.Schema{
		Name: "consumers", Path: "consumers", Key: "username",
		Fields: []s.Field{s.ID(), s.CreatedAt(), s.UpdatedAt(), unique("username"), unique("custom_id"), s.Tags()},
		Checks: []s.EntityCheck{s.AtLeastOneOf("custom_id", "username")},
	}
}

// credential is what all credential types share.
func credential(name, path, nested, key string, fields ...s.Field) *s.Schema {
	consumer := s.Ref("consumer", "consumers")
	consumer.Required, consumer.Cascade = true, true
	all := append([]s.Field{s.ID(), s.CreatedAt(), consumer}, fields...)
	return &s.Schema{Name: name, Path: path, Nested: nested, Key: key, Fields: append(all, s.Tags())}
}

func credentials() []*s.Schema {
	generated := func(name string, unique bool) s.Field {
		return s.Field{Name: name, Type: s.String, Auto: true, Unique: unique}
	}
	username := s.Field{Name: "username", Type: s.String, Required: true, Unique: true}

	keys := credential("keyauth_credentials", "key-auths", "key-auth", "key", generated("key", true),
		s.Field{Name: "ttl", Type: s.Integer, Between: s.Between(0, 100000000)})
	keys.Prepare = func(r, given map[string]any) {
		if ttl, ok := given["ttl"].(float64); ok { // kept as seconds after the creation
			r["ttl"] = ttl + s.Stamp("s", time.Now()) - r["created_at"].(float64)
		}
	}
	jwt := credential("jwt_secrets", "jwts", "jwt", "key",
		generated("key", true), generated("secret", false), s.Text("rsa_public_key"),
		s.Choice("algorithm", "HS256", jwtAlgorithms...))
	jwt.Checks = []s.EntityCheck{s.When("algorithm", s.Is("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "EdDSA"),
		"rsa_public_key", checkPublicKey)}
	basic := credential("basicauth_credentials", "basic-auths", "basic-auth", "username", username,
		s.Field{Name: "password", Type: s.String, Required: true})
	basic.Prepare = func(r, given map[string]any) {
		if password, ok := given["password"].(string); ok {
			r["password"] = HashPassword(r["consumer"].(map[string]any)["id"].(string), password)
		}
	}
	hmac := credential("hmacauth_credentials", "hmac-auths", "hmac-auth", "username", username, generated("secret", false))
	acls := credential("acls", "acls", "", "", s.Field{Name: "group", Type: s.String, Required: true})
	acls.Composite = []string{"consumer", "group"}
	return []*s.Schema{keys, jwt, basic, hmac, acls}
}

// Expired tells whether a credential's time is over.
func Expired(credential map[string]any, now time.Time) bool {
	left, limited := Remaining(credential, now)
	return limited && left <= 0
}

// Remaining is how many seconds a credential is still valid, if it has a limit.
func Remaining(credential map[string]any, now time.Time) (seconds float64, limited bool) {
	ttl, limited := credential["ttl"].(float64)
	created, _ := credential["created_at"].(float64)
	return max(0, created+ttl-s.Stamp("s", now)), limited
}

// HashPassword stores basic-auth passwords as the original does.
func HashPassword(consumer, password string) string {
	sum := sha1.Sum([]byte(password + consumer)) //nolint:gosec // format, not choice
	return hex.EncodeToString(sum[:])
}

func checkPublicKey(v any) string {
	text, ok := v.(string)
	if !ok {
		return "required field missing"
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return "invalid key"
	}
	if _, err := x509.ParsePKIXPublicKey(block.Bytes); err != nil {
		if _, err := x509.ParsePKCS1PublicKey(block.Bytes); err != nil {
			return "invalid key"
		}
	}
	return ""
}
