package entity

import (
	"strings"

	s "nexus/standins/kong/internal/schema"
)

func routes() *s.Schema {
	endpoint := s.Field{
		Type: s.Record,
		Fields: []s.Field{
			{Name: "ip", Type: s.String},
			{Name: "port", Type: s.Integer, Between: s.Between(0, 65535)},
		},
		Checks: []s.EntityCheck{s.AtLeastOneOf("ip", "port")},
	}
	protocols := s.SetOf("protocols", s.Field{Type: s.String, OneOf: s.Strings(s.Protocols...)})
	protocols.Required = true
	protocols.LenMin = 1
	protocols.Default = s.Strings("http", "https")
	protocols.Exclusive = [][]string{{"http", "https"}, {"tcp", "tls", "udp"}, {"tls_passthrough"}, {"grpc", "grpcs"}}
	noHost := func(v any) string {
		if strings.EqualFold(v.(string), "host") {
			return "cannot contain 'host' header, which must be specified in the 'hosts' attribute"
		}
		return s.CheckHeaderName(v)
	}
	return &s.Schema{
		Name: "routes", Path: "routes", Key: "name",
		Fields: []s.Field{
			s.ID(), s.CreatedAt(), s.UpdatedAt(), s.Name("name"),
			protocols,
			{
				Name: "https_redirect_status_code", Type: s.Integer, Required: true, Default: 426.0,
				OneOf: s.Numbers(426, 301, 302, 307, 308),
			},
			s.Flag("strip_path", true), s.Flag("preserve_host", false),
			s.Flag("request_buffering", true), s.Flag("response_buffering", true),
			s.Tags(), s.Ref("service", "services"),
			s.SetOf("snis", s.Field{Type: s.String, Check: s.CheckServerName}),
			s.SetOf("sources", endpoint), s.SetOf("destinations", endpoint),
			s.SetOf("methods", s.Field{Type: s.String, Check: s.CheckMethod}),
			s.ListOf("hosts", s.Field{Type: s.String, Check: s.CheckRouteHost}),
			s.ListOf("paths", s.Field{Type: s.String, Check: s.CheckRoutePath}),
			s.Headers("headers", noHost),
			{Name: "regex_priority", Type: s.Integer, Default: 0.0},
			s.Choice("path_handling", "v0", "v0", "v1"),
		},
		Checks: []s.EntityCheck{{Label: "route_criteria", Run: checkRoute}},
	}
}

// criteria lists what a route must name at least one of, by its protocols.
var criteria = []struct {
	protocol string
	names    []string
}{
	{"https", []string{"methods", "hosts", "headers", "paths", "snis"}},
	{"http", []string{"methods", "hosts", "headers", "paths"}},
	{"grpcs", []string{"hosts", "headers", "paths", "snis"}},
	{"grpc", []string{"hosts", "headers", "paths"}},
}

func checkRoute(r map[string]any, errs *s.Errors) {
	has := func(words ...string) bool { return intersects(r["protocols"], words) }
	if !has("grpcs", "https", "tls", "tls_passthrough") && !s.Empty(r["snis"]) {
		errs.Set("snis", "length must be 0")
		errs.Add("'snis' can only be set when 'protocols' is 'grpcs', 'https', 'tls' or 'tls_passthrough'")
	}
	switch {
	case has("http", "https"):
		refuse(r, errs, "'http' or 'https'", "sources", "destinations")
	case has("grpc", "grpcs"):
		refuse(r, errs, "'grpc' or 'grpcs'", "methods", "sources", "destinations")
	default:
		refuse(r, errs, "'tcp', 'tls', 'tls_passthrough' or 'udp'", "methods", "hosts", "paths", "headers")
		if !s.AnySet(r, "sources", "destinations", "snis") {
			errs.Add("must set one of 'sources', 'destinations', 'snis' when 'protocols' is 'tcp', 'tls' or 'udp'")
		}
		return
	}
	for _, c := range criteria {
		if has(c.protocol) {
			if !s.AnySet(r, c.names...) {
				errs.Add("must set one of " + s.Quoted(c.names...) + " when 'protocols' is '" + c.protocol + "'")
			}
			return
		}
	}
}

func refuse(r map[string]any, errs *s.Errors, protocols string, names ...string) {
	for _, name := range names {
		if r[name] != nil {
			errs.Set(name, "cannot set '"+name+"' when 'protocols' is "+protocols)
		}
	}
}

func intersects(v any, words []string) bool {
	items, _ := v.([]any)
	for _, item := range items {
		for _, w := range words {
			if item == w {
				return true
			}
		}
	}
	return false
}
