// Package entity holds the tables of every entity type the Admin API offers.
package entity

import (
	"net/url"
	"strconv"
	"strings"

	s "nexus/standins/kong/internal/schema"
)

const maxTimeout = 1<<31 - 2 // milliseconds

func services() *s.Schema {
	plain := s.IsNot("https", "tls")
	return &s.Schema{
		Name: "services", Path: "services", Key: "name",
		Fields: []s.Field{
			s.ID(), s.CreatedAt(), s.UpdatedAt(), s.Name("name"),
			s.Int("retries", 5.0, 0, 32767),
			{Name: "protocol", Type: s.String, Required: true, Default: "http", OneOf: s.Strings(s.Protocols...)},
			{Name: "host", Type: s.String, Required: true, Check: s.CheckHost},
			{Name: "port", Type: s.Integer, Required: true, Default: 80.0, Between: s.Between(0, 65535)},
			{Name: "path", Type: s.String, Check: s.CheckPath},
			s.Int("connect_timeout", 60000.0, 1, maxTimeout),
			s.Int("write_timeout", 60000.0, 1, maxTimeout),
			s.Int("read_timeout", 60000.0, 1, maxTimeout),
			s.Tags(),
			s.Ref("client_certificate", "certificates"),
			{Name: "tls_verify", Type: s.Boolean},
			s.Int("tls_verify_depth", nil, 0, 64),
			s.ListOf("ca_certificates", s.Field{Type: s.String, UUID: true}),
			s.Flag("enabled", true),
		},
		Checks: []s.EntityCheck{
			s.When("protocol", s.Is("tcp", "tls", "udp", "grpc", "grpcs"), "path", s.Null),
			s.When("protocol", plain, "client_certificate", s.Null),
			s.When("protocol", plain, "tls_verify", s.Null),
			s.When("protocol", plain, "tls_verify_depth", s.Null),
			s.When("protocol", plain, "ca_certificates", s.Null),
		},
		Shorthands: []s.Shorthand{{Name: "url", Expand: expandURL}},
	}
}

// expandURL turns "url" into protocol, host, port and path.
func expandURL(value any) (map[string]any, string) {
	text, ok := value.(string)
	if !ok {
		return nil, "expected a string"
	}
	u, err := url.Parse(text)
	if err != nil {
		return nil, "invalid url: " + text
	}
	protocol := u.Scheme
	port, _ := strconv.ParseFloat(u.Port(), 64)
	if protocol == "" {
		protocol = map[float64]string{80: "http", 443: "https"}[port]
	}
	if protocol == "" {
		protocol = "http"
	}
	if u.Port() == "" {
		port = 80
		if protocol == "https" {
			port = 443
		}
	}
	out := map[string]any{"protocol": protocol, "port": port, "host": nil, "path": nil}
	if host := u.Hostname(); host != "" {
		out["host"] = host
	}
	if path := strings.SplitN(u.EscapedPath(), "?", 2)[0]; path != "" {
		out["path"] = path
	}
	return out, ""
}
