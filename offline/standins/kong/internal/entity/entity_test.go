package entity

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	s "nexus/standins/kong/internal/schema"
	"nexus/standins/kong/internal/store"
)

type noPlugins struct{}

func (noPlugins) PluginSchema(name string) (PluginSchema, bool) {
	config := []s.Field{{Name: "minute", Type: s.Integer, Required: true}, s.Flag("on", true)}
	return PluginSchema{Config: config}, name == "limiter"
}

func open(t *testing.T) *store.Store {
	t.Helper()
	st, err := store.Open(context.Background(), &store.Memory{}, All(noPlugins{}))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	out := map[string]any{}
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestBadInputIsRefusedWithTheFieldsName(t *testing.T) {
	st := open(t)
	for _, c := range []struct{ kind, input, field, message string }{
		{"services", `{}`, "host", "required field missing"},
		{"services", `{"host":"a","port":70000}`, "port", "value should be between 0 and 65535"},
		{"services", `{"host":"a","retries":"5"}`, "retries", "expected an integer"},
		{"services", `{"host":"a","retries":1.5}`, "retries", "expected an integer"},
		{"services", `{"host":"a","protocol":"gopher"}`, "protocol", "expected one of: grpc, grpcs, http"},
		{"services", `{"host":"a","path":"x"}`, "path", "should start with: /"},
		{"services", `{"host":"a","path":"/a//b"}`, "path", "must not have empty segments"},
		{"services", `{"host":"a","connect_timeout":0}`, "connect_timeout", "value should be between 1 and 2147483646"},
		{"services", `{"host":"a","tls_verify":true}`, "tls_verify", "value must be null"},
		{"services", `{"host":"a","colour":1}`, "colour", "unknown field"},
		{"services", `{"host":"a","tags":["a,b"]}`, "tags", "invalid tag 'a,b'"},
		{"services", `{"host":"a:80"}`, "host", "must not have a port"},
		{"routes", `{"paths":["a"]}`, "paths", "should start with: / (fixed path) or ~/ (regex path)"},
		{"routes", `{"paths":["~/("]}`, "paths", "invalid regex"},
		{"routes", `{"paths":["/a/../b"]}`, "paths", "non-normalized path"},
		{"routes", `{"methods":["get"]}`, "methods", "invalid value: get"},
		{"routes", `{"hosts":["a*b*"]}`, "hosts", "invalid wildcard"},
		{"routes", `{"hosts":"a"}`, "hosts", "expected an array"},
		{"routes", `{"headers":{"Host":["a"]}}`, "headers", "cannot contain 'host' header"},
		{"routes", `{"paths":["/"],"protocols":["http","tcp"]}`, "protocols", "these sets are mutually exclusive"},
		{"routes", `{"name":"x"}`, "@entity", "must set one of 'methods', 'hosts', 'headers', 'paths', 'snis'"},
		{"routes", `{"name":"x","protocols":["http"]}`, "@entity", "must set one of 'methods', 'hosts', 'headers', 'paths' when"},
		{"routes", `{"paths":["/"],"https_redirect_status_code":303}`, "https_redirect_status_code", "expected one of: 426, 301"},
		{"upstreams", `{"name":"1.2.3.4"}`, "name", "no ip addresses allowed"},
		{"upstreams", `{"name":"u","hash_on":"header"}`, "hash_on_header", "required field missing"},
		{"upstreams", `{"name":"u","healthchecks":{"active":{"healthy":{"interval":-1}}}}`, "healthchecks", "between 0 and 65535"},
		{"upstreams", `{"name":"u","healthchecks":{"active":{"nope":1}}}`, "healthchecks", "unknown field"},
		{"consumers", `{}`, "@entity", "at least one of these fields must be non-empty: 'custom_id', 'username'"},
		{"plugins", `{"name":"nope"}`, "name", "plugin 'nope' not enabled; add it to the 'plugins' configuration property"},
		{"plugins", `{"name":"limiter"}`, "config", "required field missing"},
		{"plugins", `{"name":"limiter","config":{"minute":1,"x":1}}`, "config", "unknown field"},
		{"certificates", `{"cert":"x","key":"y"}`, "cert", "invalid certificate"},
	} {
		_, err := st.Insert(context.Background(), c.kind, parse(t, c.input))
		var problem *store.Problem
		if !errors.As(err, &problem) || problem.Status != 400 || problem.Code != 2 {
			t.Errorf("%s %s: %v", c.kind, c.input, err)
			continue
		}
		text, _ := json.Marshal(problem.Fields[c.field])
		plain := strings.NewReplacer(`\u003c`, "<", `\u003e`, ">").Replace(string(text))
		if !strings.Contains(plain, c.message) {
			t.Errorf("%s %s: fields %v", c.kind, c.input, problem.Fields)
		}
	}
}

func TestDefaultsAreFilledInToTheDepth(t *testing.T) {
	st := open(t)
	u, err := st.Insert(context.Background(), "upstreams", parse(t, `{"name":"u","healthchecks":{"active":{"healthy":{"interval":5}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	active := u["healthchecks"].(map[string]any)["active"].(map[string]any)
	healthy := active["healthy"].(map[string]any)
	if healthy["interval"] != 5.0 || !reflect.DeepEqual(healthy["http_statuses"], s.Numbers(200, 302)) || active["http_path"] != "/" {
		t.Errorf("active: %v", active)
	}
	if u["created_at"] == nil || u["hash_on"] != "none" || u["tags"] != nil {
		t.Errorf("upstream: %v", u)
	}
}

func TestAURLIsShortForFourFields(t *testing.T) {
	for text, want := range map[string][4]any{
		"http://a/b":       {"http", "a", 80.0, "/b"},
		"https://a":        {"https", "a", 443.0, nil},
		"http://a:8080/":   {"http", "a", 8080.0, "/"},
		"https://[::1]:1/": {"https", "::1", 1.0, "/"},
	} {
		out, problem := expandURL(text)
		got := [4]any{out["protocol"], out["host"], out["port"], out["path"]}
		if problem != "" || got != want {
			t.Errorf("%s: %v %s", text, got, problem)
		}
	}
}

func TestHashInputChoosesTheAlgorithm(t *testing.T) {
	st, ctx := open(t), context.Background()
	u, err := st.Insert(ctx, "upstreams", parse(t, `{"name":"u","hash_on":"ip"}`))
	if err != nil || u["algorithm"] != "consistent-hashing" {
		t.Fatal(u, err)
	}
	u, err = st.Update(ctx, "upstreams", store.ID(u), parse(t, `{"algorithm":"least-connections"}`))
	if err != nil || u["hash_on"] != "none" || u["algorithm"] != "least-connections" {
		t.Error(u, err)
	}
}

func TestTargetsGetAPortAndAreUniqueInTheirUpstream(t *testing.T) {
	st, ctx := open(t), context.Background()
	for _, name := range []string{"a", "b"} {
		_, _ = st.Insert(ctx, "upstreams", map[string]any{"name": name})
	}
	target := func(upstream, address string) error {
		e, err := st.Insert(ctx, "targets", map[string]any{"target": address, "upstream": map[string]any{"name": upstream}})
		if err == nil && e["target"] != "web:8000" {
			t.Errorf("target %v", e["target"])
		}
		return err
	}
	var problem *store.Problem
	if target("a", "web") != nil || target("b", "web:8000") != nil {
		t.Error("refused")
	}
	if err := target("a", "web:8000"); !errors.As(err, &problem) || problem.Status != 409 {
		t.Errorf("duplicate: %v", err)
	}
}

func TestDeletingFollowsOwnership(t *testing.T) {
	st, ctx := open(t), context.Background()
	service, _ := st.Insert(ctx, "services", map[string]any{"name": "s", "host": "h"})
	ref := map[string]any{"id": service["id"]}
	route, _ := st.Insert(ctx, "routes", map[string]any{"paths": []any{"/"}, "service": ref})
	config := map[string]any{"minute": 1.0}
	_, err := st.Insert(ctx, "plugins", map[string]any{"name": "limiter", "config": config, "route": map[string]any{"id": route["id"]}})
	if err != nil {
		t.Fatal(err)
	}
	var problem *store.Problem
	if err := st.Delete(ctx, "services", store.ID(service)); !errors.As(err, &problem) || problem.Code != 4 {
		t.Errorf("a service with routes: %v", err)
	}
	if err := st.Delete(ctx, "routes", store.ID(route)); err != nil || st.State().Count("plugins") != 0 {
		t.Errorf("a route takes its plugins along: %v, %d left", err, st.State().Count("plugins"))
	}
	if err := st.Delete(ctx, "services", store.ID(service)); err != nil {
		t.Error(err)
	}
}

func TestPatchMergesRecordsAndReplacesLists(t *testing.T) {
	st, ctx := open(t), context.Background()
	u, _ := st.Insert(ctx, "upstreams", parse(t, `{"name":"u","tags":["a","b"],"healthchecks":{"passive":{"unhealthy":{"timeouts":3}}}}`))
	u, err := st.Update(ctx, "upstreams", store.ID(u), parse(t, `{"tags":["c"],"healthchecks":{"passive":{"unhealthy":{"tcp_failures":1}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	unhealthy := u["healthchecks"].(map[string]any)["passive"].(map[string]any)["unhealthy"].(map[string]any)
	if unhealthy["timeouts"] != 3.0 || unhealthy["tcp_failures"] != 1.0 || !reflect.DeepEqual(u["tags"], s.Strings("c")) {
		t.Errorf("%v", u)
	}
}
