package plugin

import (
	"crypto/x509"
	"encoding/pem"

	"nexus/standins/kong/internal/schema"
	"nexus/standins/kong/internal/store"
)

// Directory answers what authentication asks of one snapshot.
type Directory struct {
	state  *store.State
	groups map[string][]string // consumer -> groups
	keys   map[string]any      // JWT credential -> parsed public key
}

func newDirectory(st *store.State) *Directory {
	d := &Directory{state: st, groups: map[string][]string{}, keys: map[string]any{}}
	for _, e := range st.List("acls") {
		consumer := store.Foreign(e, "consumer")
		d.groups[consumer] = append(d.groups[consumer], e["group"].(string))
	}
	for _, e := range st.List("jwt_secrets") {
		if text, ok := e["rsa_public_key"].(string); ok {
			d.keys[store.ID(e)] = publicKey(text)
		}
	}
	return d
}

// Consumer finds a consumer by id or name; nil when there is none.
func (d *Directory) Consumer(key string) store.Entity {
	if schema.IsUUID(key) {
		return d.state.Get("consumers", key)
	}
	return d.state.ByKey("consumers", key)
}

// Credential finds a credential of a kind by its key or name.
func (d *Directory) Credential(kind, key string) store.Entity { return d.state.ByKey(kind, key) }

// Owner is the consumer of a credential.
func (d *Directory) Owner(credential store.Entity) store.Entity {
	return d.state.Get("consumers", store.Foreign(credential, "consumer"))
}

// Groups are the groups of a consumer.
func (d *Directory) Groups(consumer store.Entity) []string { return d.groups[store.ID(consumer)] }

// publicKey reads what the Admin API has accepted; nil for anything else.
func publicKey(text string) any {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil
	}
	if key, err := x509.ParsePKIXPublicKey(block.Bytes); err == nil {
		return key
	}
	if key, err := x509.ParsePKCS1PublicKey(block.Bytes); err == nil {
		return key
	}
	if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
		return certificate.PublicKey
	}
	return nil
}
