package engine

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// vault answers as the real one does where the rows depend on it: 204 to writes, objects below "data", 400 for no mount.
func vault(t *testing.T) (*httptest.Server, map[string]values) {
	kept := map[string]values{}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Vault-Token") != "root" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		path := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/v1/"), "/tune")
		switch r.Method {
		case http.MethodGet:
			if kept[path] == nil && strings.HasPrefix(path, "sys/mounts/") {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = w.Write([]byte(`{"errors":["No secret engine mount at x/"]}`))
			} else if kept[path] == nil {
				w.WriteHeader(http.StatusNotFound)
			}
			_ = json.NewEncoder(w).Encode(values{"data": kept[path]})
		case http.MethodDelete:
			delete(kept, path)
			w.WriteHeader(http.StatusNoContent)
		default:
			body := values{}
			_ = json.NewDecoder(r.Body).Decode(&body)
			if kept[path] == nil {
				kept[path] = values{"name": path[strings.LastIndex(path, "/")+1:], "accessor": "kv_1"}
			}
			for name, value := range body {
				kept[path][name] = value
			}
			w.WriteHeader(http.StatusNoContent)
		}
	}))
	t.Cleanup(web.Close)
	return web, kept
}

func TestTheVaultRows(t *testing.T) {
	rows, err := os.ReadFile("../tables/vault.yaml")
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := Parse(rows)
	if err != nil {
		t.Fatal(err)
	}
	web, kept := vault(t)
	provider, ctx := New(parsed), context.Background()
	_, err = provider.Configure(ctx, &pulumirpc.ConfigureRequest{AcceptSecrets: true, Args: pb(t, resource.PropertyMap{
		"address": resource.NewProperty(web.URL), "token": resource.NewProperty("root"),
	})})
	if err != nil {
		t.Fatal(err)
	}
	text := func(s string) resource.PropertyValue { return resource.NewProperty(s) }
	for token, c := range map[string]struct {
		in     resource.PropertyMap
		id, at string
		change resource.PropertyKey
	}{
		"vault:index/policy:Policy": {
			resource.PropertyMap{"name": text("app"), "policy": text("path \"a\" {}")}, "app", "sys/policies/acl/app", "policy",
		},
		"vault:index/mount:Mount": {
			resource.PropertyMap{"path": text("team/kv"), "type": text("kv-v2")}, "team/kv", "sys/mounts/team/kv", "description",
		},
		"vault:kv/secretV2:SecretV2": {
			resource.PropertyMap{"mount": text("kv"), "name": text("db"), "dataJson": text(`{"a":"b"}`)},
			"kv/data/db", "kv/data/db", "",
		},
	} {
		urn := "urn:pulumi:s::p::" + token + "::one"
		checked, err := provider.Check(ctx, &pulumirpc.CheckRequest{Urn: urn, News: pb(t, c.in)})
		if err != nil || len(checked.Failures) > 0 {
			t.Fatal(token, err, checked)
		}
		made, err := provider.Create(ctx, &pulumirpc.CreateRequest{Urn: urn, Properties: checked.Inputs})
		if err != nil || made.Id != c.id || kept[c.at] == nil {
			t.Fatal(token, err, made, kept)
		}
		diff, err := provider.Diff(ctx, &pulumirpc.DiffRequest{Urn: urn, Id: c.id, Olds: made.Properties, News: checked.Inputs})
		if err != nil || len(diff.DetailedDiff) > 0 {
			t.Errorf("%s: %v %v", token, err, diff)
		}
		if c.change != "" {
			c.in[c.change] = text("changed")
			_, err = provider.Update(ctx, &pulumirpc.UpdateRequest{Urn: urn, Id: c.id, Olds: made.Properties, News: pb(t, c.in)})
			if err != nil || kept[c.at][string(c.change)] != "changed" {
				t.Errorf("%s: %v %v", token, err, kept)
			}
		}
		delete(kept, c.at)
		if gone, err := provider.Read(ctx, &pulumirpc.ReadRequest{Urn: urn, Id: c.id, Properties: made.Properties}); err != nil || gone.Id != "" {
			t.Errorf("%s: %v %v", token, err, gone)
		}
	}
}
