package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"strings"
	"sync/atomic"
	"time"

	"nexus/standins/kong/internal/conf"
	"nexus/standins/kong/internal/store"
)

// certificates chooses the certificate of a TLS connection by its SNI.
type certificates struct {
	fallback *tls.Certificate
	byName   atomic.Pointer[map[string]*tls.Certificate]
}

func newCertificates(c *conf.Config) (*certificates, error) {
	out := &certificates{}
	out.byName.Store(&map[string]*tls.Certificate{})
	if c.SSLCert != "" {
		pair, err := tls.LoadX509KeyPair(strings.Split(c.SSLCert, ",")[0], strings.Split(c.SSLKey, ",")[0])
		out.fallback = &pair
		return out, err
	}
	var err error
	out.fallback, err = selfSigned()
	return out, err
}

// update follows a new snapshot.
func (c *certificates) update(st *store.State) {
	names := map[string]*tls.Certificate{}
	for _, sni := range st.List("snis") {
		e := st.Get("certificates", store.Foreign(sni, "certificate"))
		if e == nil {
			continue
		}
		pair, err := tls.X509KeyPair([]byte(e["cert"].(string)), []byte(e["key"].(string)))
		if err != nil {
			slog.Error("unusable certificate", "id", e["id"], "error", err)
			continue
		}
		names[strings.ToLower(sni["name"].(string))] = &pair
	}
	c.byName.Store(&names)
}

// get tries the name, then *.rest, then first.*, then *, then the fallback.
func (c *certificates) get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	names := *c.byName.Load()
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	tries := []string{name}
	if i := strings.IndexByte(name, '.'); i > 0 {
		tries = append(tries, "*"+name[i:], name[:strings.LastIndexByte(name, '.')]+".*")
	}
	for _, t := range append(tries, "*") {
		if found := names[t]; found != nil {
			return found, nil
		}
	}
	return c.fallback, nil
}

// selfSigned is used until a certificate is configured.
func selfSigned() (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "localhost", Organization: []string{"Kong"}},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(20, 0, 0), DNSNames: []string{"localhost"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
