package router

import (
	"encoding/json"
	"fmt"
	"testing"

	"nexus/standins/kong/internal/schema"
)

// The expectations are the documented behaviour of path_handling.
var joined = []struct {
	service, route, request string
	keptV0, strippedV0      string // "" = not tested
	keptV1, strippedV1      string
}{
	{"/", "/", "/route/", "/route/", "/route/", "/route/", "/route/"},
	{"/", "/route", "/route", "/route", "/", "/route", "/"},
	{"/", "/route", "/routereq", "/routereq", "/req", "/routereq", "/req"},
	{"/", "/route/", "/route/req", "/route/req", "/req", "/route/req", "/req"},
	{"/srv", "/rou", "/roureq", "/srv/roureq", "/srv/req", "/srvroureq", "/srvreq"},
	{"/srv/", "/rou", "/rou", "/srv/rou", "/srv", "/srv/rou", "/srv/"},
	{"/service", "/", "/", "/service", "/service", "/service", "/service"},
	{"/service", "/", "/route", "/service/route", "/service/route", "/serviceroute", "/serviceroute"},
	{"/service", "/route", "/route", "/service/route", "/service", "/serviceroute", "/service"},
	{"/service", "/route", "/route/", "/service/route/", "/service/", "/serviceroute/", "/service/"},
	{"/service", "/route/", "/route/", "/service/route/", "/service/", "/serviceroute/", "/service"},
	{"/service/", "/route", "/route/", "/service/route/", "/service/", "/service/route/", "/service/"},
	{"/service/", "/route", "/route", "/service/route", "/service", "/service/route", "/service/"},
	{"/service/", "/route/", "/route/req", "/service/route/req", "/service/req", "/service/route/req", "/service/req"},
	{"/service", "", "/route/", "/service/route/", "/service/route/", "/serviceroute/", "/serviceroute/"},
	{"/service/", "", "/", "/service/", "/service/", "/service/", "/service/"},
	{"/service", "/route", "/route./req", "/service/route./req", "/service/req", "/serviceroute./req", "/servicereq"},
	{"/service", "/route", "/route%2e%2E/req", "", "/service/req", "", "/servicereq"},
}

func TestPathsAreJoinedAsDocumented(t *testing.T) {
	for _, c := range joined {
		for i, want := range []string{c.keptV0, c.strippedV0, c.keptV1, c.strippedV1} {
			if want == "" {
				continue
			}
			version, strip := []string{"v0", "v1"}[i/2], i%2 == 1
			criteria := map[string]any{"strip_path": strip, "path_handling": version, "hosts": []string{"h"}}
			if c.route != "" {
				criteria["paths"] = []string{c.route}
			}
			text, _ := json.Marshal(criteria)
			r := build(t, "traditional", c.service, string(text))
			path := schema.NormalizePath(c.request)
			m := r.Find(get("h", c.request))
			if m == nil {
				t.Fatalf("no match: %+v", c)
			}
			if got := r.UpstreamPath(m, path); got != want {
				t.Errorf("%s", fmt.Sprintf("service %q route %q request %q %s strip=%v: got %q, want %q",
					c.service, c.route, c.request, version, strip, got, want))
			}
		}
	}
}

func TestPathHandlingV1NeedsTheTraditionalRouter(t *testing.T) {
	r := build(t, "traditional_compatible", "/service", `{"paths":["/route"],"path_handling":"v1","strip_path":false}`)
	m := r.Find(get("h", "/route"))
	if got := r.UpstreamPath(m, "/route"); got != "/service/route" {
		t.Errorf("got %q", got)
	}
}

func TestARegularExpressionStripsWhatItMatched(t *testing.T) {
	r := build(t, "", "/base", `{"paths":["~/v[0-9]+"]}`)
	m := r.Find(get("h", "/v12/rest"))
	if m.Prefix != "/v12" || r.UpstreamPath(m, "/v12/rest") != "/base/rest" {
		t.Errorf("prefix %q, path %q", m.Prefix, r.UpstreamPath(m, "/v12/rest"))
	}
}
