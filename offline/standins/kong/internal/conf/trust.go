package conf

import (
	"crypto/x509"
	"fmt"
	"os"
	"slices"
)

// roots reads lua_ssl_trusted_certificate: files with certificates, and "system" for those of the machine.
func roots(text string) (*x509.CertPool, error) {
	items, pool := split(text), x509.NewCertPool()
	if slices.Contains(items, "system") {
		if system, err := x509.SystemCertPool(); err == nil {
			pool = system
		}
	}
	for _, item := range items {
		if item == "system" {
			continue
		}
		pem, err := os.ReadFile(item)
		if err != nil {
			return nil, fmt.Errorf("lua_ssl_trusted_certificate: no such file at %s", item)
		}
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("lua_ssl_trusted_certificate: no certificate in %s", item)
		}
	}
	return pool, nil
}
