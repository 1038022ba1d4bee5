package router

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"

	"nexus/standins/kong/internal/entity"
	"nexus/standins/kong/internal/plugin"
	"nexus/standins/kong/internal/schema"
	"nexus/standins/kong/internal/store"
)

// build makes a router from JSON routes, all to one service with this path.
func build(t *testing.T, flavor, servicePath string, routes ...string) *Router {
	t.Helper()
	ctx := context.Background()
	s, err := store.Open(ctx, &store.Memory{}, entity.All(plugin.Bundled(plugin.NewShared(nil, nil))))
	if err != nil {
		t.Fatal(err)
	}
	service := map[string]any{"name": "s", "host": "example"}
	if servicePath != "" {
		service["path"] = servicePath
	}
	created, err := s.Insert(ctx, "services", service)
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range routes {
		route := map[string]any{}
		if err := json.Unmarshal([]byte(text), &route); err != nil {
			t.Fatal(err)
		}
		route["service"] = map[string]any{"id": store.ID(created)}
		route["created_at"] = float64(1000 + i)
		if _, err := s.Insert(ctx, "routes", route); err != nil {
			t.Fatalf("route %s: %v", text, err)
		}
	}
	return Build(s.State(), flavor)
}

func get(host, path string, headers ...string) *Request {
	h := http.Header{}
	for i := 0; i+1 < len(headers); i += 2 {
		h.Add(headers[i], headers[i+1])
	}
	return &Request{Method: "GET", Host: host, Port: 8000, Path: schema.NormalizePath(path), Header: h}
}

func TestTheMostSpecificRouteWins(t *testing.T) {
	r := build(t, "", "",
		`{"name":"root","paths":["/"]}`,
		`{"name":"api","paths":["/api"]}`,
		`{"name":"api-long","paths":["/api/v1"]}`,
		`{"name":"regex","paths":["~/api/v[0-9]+/x$"],"regex_priority":0}`,
		`{"name":"regex-high","paths":["~/api/v2/x$"],"regex_priority":5}`,
		`{"name":"wild","hosts":["*.example.com"]}`,
		`{"name":"plain","hosts":["a.example.com"]}`,
		`{"name":"host-path","hosts":["a.example.com"],"paths":["/only"]}`,
		`{"name":"post","paths":["/api"],"methods":["POST"]}`,
		`{"name":"one-header","headers":{"x-a":["1"]}}`,
		`{"name":"two-headers","headers":{"x-a":["1"],"x-b":["2","3"]}}`,
		`{"name":"header-regex","headers":{"x-c":["~*^v[0-9]+$"]}}`,
		`{"name":"right","hosts":["example.*"]}`,
		`{"name":"port","hosts":["p.net:8000"]}`,
		`{"name":"other-port","hosts":["q.net:9000"]}`,
		`{"name":"older","paths":["/tie"]}`,
		`{"name":"newer","paths":["/tie"]}`,
	)
	post := get("h", "/api")
	post.Method = "POST"
	for _, c := range []struct {
		request *Request
		want    string
	}{
		{get("h", "/other"), "root"},
		{get("h", "/api/z"), "api"},
		{get("h", "/apix"), "api"},
		{get("h", "/api/v1/z"), "api-long"},
		{get("h", "/api/v1/x"), "regex"},
		{get("h", "/api/v2/x"), "regex-high"},
		{get("b.example.com", "/"), "root"},          // a path and a wildcard host count the same; plain hosts only lead
		{get("a.example.com", "/"), "plain"},         // a plain host leads over a path
		{get("a.example.com", "/only"), "host-path"}, // two criteria lead over one
		{post, "post"},
		{get("h", "/zzz", "X-A", "1"), "one-header"},
		{get("h", "/zzz", "X-A", "1", "X-B", "3"), "two-headers"},
		{get("h", "/zzz", "X-C", "v12"), "header-regex"},
		{get("p.net", "/zzz"), "port"},
		{get("q.net", "/zzz"), "root"},
		{get("h", "/tie"), "older"},
	} {
		m := r.Find(c.request)
		if m == nil || m.Route["name"] != c.want {
			t.Errorf("%s %s%s: got %v, want %s", c.request.Method, c.request.Host, c.request.Path, m, c.want)
		}
	}
}

func TestARequestThatFitsNoRouteFindsNone(t *testing.T) {
	r := build(t, "", "", `{"paths":["/a"],"methods":["GET"]}`, `{"hosts":["x"],"headers":{"h":["v"]}}`)
	if r.Find(get("x", "/b")) != nil {
		t.Error("matched without the header")
	}
	put := get("y", "/a")
	put.Method = "PUT"
	if r.Find(put) != nil {
		t.Error("matched another method")
	}
}

func TestServerNamesCountOnTLSOnly(t *testing.T) {
	r := build(t, "", "", `{"paths":["/a"],"snis":["secure.org"],"protocols":["https","http"]}`)
	plain, wrong, right := get("h", "/a"), get("h", "/a"), get("h", "/a")
	wrong.TLS, wrong.SNI = true, "other.org"
	right.TLS, right.SNI = true, "secure.org."
	if r.Find(plain) == nil || r.Find(wrong) != nil || r.Find(right) == nil {
		t.Error("wrong treatment of server names")
	}
}

func TestRoutesOfDisabledServicesDoNotMatch(t *testing.T) {
	ctx := context.Background()
	s, _ := store.Open(ctx, &store.Memory{}, entity.All(plugin.Bundled(plugin.NewShared(nil, nil))))
	service, _ := s.Insert(ctx, "services", map[string]any{"name": "s", "host": "e", "enabled": false})
	_, err := s.Insert(ctx, "routes", map[string]any{"paths": []any{"/"}, "service": map[string]any{"id": service["id"]}})
	if err != nil {
		t.Fatal(err)
	}
	if Build(s.State(), "").Find(get("h", "/")) != nil {
		t.Error("a disabled service was routed to")
	}
}

func TestCapturesCanBeReadByNameAndNumber(t *testing.T) {
	r := build(t, "", "", `{"paths":["~/u/(?<user>[a-z]+)/(\\d+)$"]}`)
	m := r.Find(get("h", "/u/bob/42"))
	if m == nil || m.Capture("user") != "bob" || m.Capture("2") != "42" || m.Capture("none") != "" {
		t.Errorf("captures of %+v", m)
	}
}
