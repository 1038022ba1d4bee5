package entity

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"time"

	s "nexus/standins/kong/internal/schema"
)

func certificates() []*s.Schema {
	pemField := func(name string, required bool, check s.Check) s.Field {
		return s.Field{Name: name, Type: s.String, Required: required, Check: check}
	}
	snis := s.ListOf("snis", s.Field{Type: s.String, Check: s.CheckServerName})
	snis.Transient = true
	owner := s.Ref("certificate", "certificates")
	owner.Required = true
	return []*s.Schema{
		{
			Name: "certificates", Path: "certificates",
			Fields: []s.Field{
				s.ID(), s.CreatedAt(), s.UpdatedAt(),
				pemField("cert", true, s.CheckCertificate), pemField("key", true, s.CheckPrivateKey),
				pemField("cert_alt", false, s.CheckCertificate), pemField("key_alt", false, s.CheckPrivateKey),
				s.Tags(), snis,
			},
			Checks: []s.EntityCheck{s.MutuallyRequired("cert_alt", "key_alt"), {Label: "pair", Run: checkPairs}},
		},
		{
			Name: "snis", Path: "snis", Key: "name",
			Fields: []s.Field{
				s.ID(), {Name: "name", Type: s.String, Required: true, Unique: true, Check: s.CheckServerName},
				s.CreatedAt(), s.UpdatedAt(), s.Tags(), owner,
			},
		},
		{
			Name: "ca_certificates", Path: "ca_certificates",
			Fields: []s.Field{
				s.ID(), s.CreatedAt(), s.UpdatedAt(), pemField("cert", true, s.CheckCertificate),
				{Name: "cert_digest", Type: s.String, Unique: true}, s.Tags(),
			},
			Checks: []s.EntityCheck{{Label: "authority", Run: checkAuthority}},
			Prepare: func(r, _ map[string]any) {
				block, _ := pem.Decode([]byte(r["cert"].(string)))
				sum := sha256.Sum256(block.Bytes)
				r["cert_digest"] = hex.EncodeToString(sum[:])
			},
		},
	}
}

func checkPairs(r map[string]any, errs *s.Errors) {
	for _, pair := range [][3]string{{"cert", "key", ""}, {"cert_alt", "key_alt", "alternative "}} {
		cert, _ := r[pair[0]].(string)
		key, _ := r[pair[1]].(string)
		if cert == "" || key == "" {
			continue
		}
		if _, err := tls.X509KeyPair([]byte(cert), []byte(key)); err != nil {
			errs.Add(pair[2] + "certificate does not match key")
		}
	}
}

func checkAuthority(r map[string]any, errs *s.Errors) {
	text := r["cert"].(string)
	if strings.Count(text, "-----BEGIN CERTIFICATE-----") > 1 {
		errs.Add("please submit only one certificate at a time")
		return
	}
	block, _ := pem.Decode([]byte(text))
	cert, err := x509.ParseCertificate(block.Bytes)
	switch {
	case err != nil:
		errs.Add("invalid certificate: " + err.Error())
	case time.Now().After(cert.NotAfter):
		errs.Add(`certificate expired, "Not After" time is in the past`)
	case !cert.IsCA:
		errs.Add(`certificate does not appear to be a CA because it is missing the "CA" basic constraint`)
	}
}
