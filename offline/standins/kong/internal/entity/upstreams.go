package entity

import (
	"strconv"
	"strings"

	s "nexus/standins/kong/internal/schema"
)

// DefaultTargetPort completes a target that names no port.
const DefaultTargetPort = 8000

var hashInputs = []string{"none", "consumer", "ip", "header", "cookie", "path", "query_arg", "uri_capture"}

func upstreams() *s.Schema {
	param := func(name string) s.Field { return s.Field{Name: name, Type: s.String, LenMin: 1} }
	header := func(name string) s.Field { return s.Field{Name: name, Type: s.String, Check: s.CheckHeaderName} }
	return &s.Schema{
		Name: "upstreams", Path: "upstreams", Key: "name",
		Fields: []s.Field{
			s.ID(), s.CreatedAt(), s.UpdatedAt(),
			{Name: "name", Type: s.String, Required: true, Unique: true, Check: checkUpstreamName},
			s.Choice("algorithm", "round-robin", "consistent-hashing", "least-connections", "round-robin", "latency"),
			s.Choice("hash_on", "none", hashInputs...),
			s.Choice("hash_fallback", "none", hashInputs...),
			header("hash_on_header"), header("hash_fallback_header"),
			header("hash_on_cookie"),
			{Name: "hash_on_cookie_path", Type: s.String, Default: "/", Check: s.CheckPath},
			param("hash_on_query_arg"), param("hash_fallback_query_arg"),
			param("hash_on_uri_capture"), param("hash_fallback_uri_capture"),
			s.Int("slots", 10000.0, 10, 65536),
			healthchecks(),
			s.Tags(),
			{Name: "host_header", Type: s.String, Check: s.CheckHostPort},
			s.Ref("client_certificate", "certificates"),
			{Name: "use_srv_name", Type: s.Boolean, Default: false},
		},
		Checks:     hashChecks(),
		Shorthands: []s.Shorthand{{Name: "algorithm", Expand: expandAlgorithm, Keep: true}, {Name: "hash_on", Expand: expandHashOn, Keep: true}},
	}
}

func hashChecks() []s.EntityCheck {
	checks := []s.EntityCheck{
		s.When("hash_on", s.Is("cookie"), "hash_on_cookie", s.Present),
		s.When("hash_fallback", s.Is("cookie"), "hash_on_cookie", s.Present),
		s.When("hash_on", s.Is("none", "cookie"), "hash_fallback", s.OneOf("none")),
	}
	for _, input := range []string{"header", "query_arg", "uri_capture"} {
		on, fallback := "hash_on_"+input, "hash_fallback_"+input
		checks = append(checks,
			s.When("hash_on", s.Is(input), on, s.Present),
			s.When("hash_fallback", s.Is(input), fallback, s.Present),
			s.Distinct(on, fallback))
	}
	for _, input := range []string{"consumer", "ip", "path"} {
		others := []string{}
		for _, o := range hashInputs {
			if o != input {
				others = append(others, o)
			}
		}
		checks = append(checks, s.When("hash_on", s.Is(input), "hash_fallback", s.OneOf(others...)))
	}
	return checks
}

// expandAlgorithm resets hash_on for the algorithms that do not hash.
func expandAlgorithm(v any) (map[string]any, string) {
	if v == "least-connections" || v == "latency" {
		return map[string]any{"hash_on": nil}, ""
	}
	return nil, ""
}

// expandHashOn lets the hash input choose the algorithm.
func expandHashOn(v any) (map[string]any, string) {
	switch v {
	case nil:
		return map[string]any{"hash_on": "none"}, ""
	case "none":
		return map[string]any{"algorithm": "round-robin"}, ""
	}
	return map[string]any{"algorithm": "consistent-hashing"}, ""
}

func healthchecks() s.Field {
	seconds := func(name string, def float64) s.Field {
		return s.Field{Name: name, Type: s.Number, Default: def, Between: s.Between(0, 65535)}
	}
	count := func(name string) s.Field { return s.Int(name, 0.0, 0, 255) }
	statuses := func(codes ...float64) s.Field {
		f := s.ListOf("http_statuses", s.Field{Type: s.Integer, Between: s.Between(100, 999)})
		f.Default = s.Numbers(codes...)
		return f
	}
	record := func(name string, fields ...s.Field) s.Field {
		return s.Field{Name: name, Type: s.Record, Fields: fields}
	}
	kind := s.Choice("type", "http", "tcp", "http", "https", "grpc", "grpcs")
	failures := []s.Field{count("tcp_failures"), count("timeouts"), count("http_failures")}
	return record("healthchecks",
		record("active",
			kind, seconds("timeout", 1), s.Int("concurrency", 10.0, 1, 1<<31),
			s.Field{Name: "http_path", Type: s.String, Default: "/", Check: s.CheckPath},
			s.Field{Name: "https_sni", Type: s.String, Check: s.CheckServerName},
			s.Flag("https_verify_certificate", true),
			s.Headers("headers", s.CheckHeaderName),
			record("healthy", seconds("interval", 0), statuses(200, 302), count("successes")),
			record("unhealthy", append([]s.Field{
				seconds("interval", 0), statuses(429, 404, 500, 501, 502, 503, 504, 505),
			}, failures...)...),
		),
		record("passive",
			kind,
			record("healthy", count("successes"), statuses(200, 201, 202, 203, 204, 205, 206, 207, 208, 226,
				300, 301, 302, 303, 304, 305, 306, 307, 308)),
			record("unhealthy", append([]s.Field{statuses(429, 500, 503)}, failures...)...),
		),
		s.Field{Name: "threshold", Type: s.Number, Default: 0.0, Between: s.Between(0, 100)},
	)
}

func checkUpstreamName(v any) string {
	name := v.(string)
	a, problem := s.ParseAddress(name)
	switch {
	case problem != "":
		return "Invalid name ('" + name + "'); must be a valid hostname"
	case !a.Name:
		return "Invalid name ('" + name + "'); no ip addresses allowed"
	case a.Port != 0:
		return "Invalid name ('" + name + "'); no port allowed"
	}
	return ""
}

func targets() *s.Schema {
	upstream := s.Ref("upstream", "upstreams")
	upstream.Required, upstream.Cascade = true, true
	return &s.Schema{
		Name: "targets", Path: "targets", Key: "target", Composite: []string{"upstream", "target"},
		Fields: []s.Field{
			s.ID(),
			{Name: "created_at", Type: s.Number, Timestamp: "ms", Auto: true},
			{Name: "updated_at", Type: s.Number, Timestamp: "ms", Auto: true},
			upstream,
			{Name: "target", Type: s.String, Required: true, Check: checkTarget},
			s.Int("weight", 100.0, 0, 65535),
			s.Tags(),
		},
		Prepare: func(r, _ map[string]any) { r["target"] = formatTarget(r["target"].(string)) },
	}
}

func checkTarget(v any) string {
	if _, problem := s.ParseAddress(v.(string)); problem != "" {
		return "Invalid target ('" + v.(string) + "'); not a valid hostname or ip address"
	}
	return ""
}

func formatTarget(target string) string {
	a, _ := s.ParseAddress(target)
	if a.Port == 0 {
		a.Port = DefaultTargetPort
	}
	if strings.Contains(a.Host, ":") {
		a.Host = "[" + a.Host + "]"
	}
	return a.Host + ":" + strconv.Itoa(a.Port)
}
