package plugin

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"nexus/standins/kong/internal/entity"
	"nexus/standins/kong/internal/schema"
	"nexus/standins/kong/internal/store"
)

var keyAuth = Definition{
	Name: "key-auth", Version: "3.9.1", Priority: 1250, NoConsumer: true,
	Config: []schema.Field{
		{
			Name: "key_names", Type: schema.Array, Required: true, Default: schema.Strings("apikey"),
			Elements: &schema.Field{Type: schema.String, Check: schema.CheckHeaderName},
		},
		schema.Flag("hide_credentials", false), anonymousField(), schema.Flag("key_in_header", true),
		schema.Flag("key_in_query", true), schema.Flag("key_in_body", false), schema.Flag("run_on_preflight", true),
		schema.Text("realm"),
	},
	New: func(config map[string]any) any {
		return &keys{
			authentication: newAuthentication(config), names: strs(config, "key_names"),
			hide: flag(config, "hide_credentials"), inHeader: flag(config, "key_in_header"),
			inQuery: flag(config, "key_in_query"), inBody: flag(config, "key_in_body"),
			challenge: challenge("Key", str(config, "realm")),
		}
	},
}

type keys struct {
	authentication
	names                           []string
	hide, inHeader, inQuery, inBody bool
	challenge                       string
}

func (p *keys) Access(x *Exchange) {
	problem := ""
	p.run(x, func() bool { problem = p.authenticate(x); return problem == "" }, func() {
		x.SetHeader("WWW-Authenticate", p.challenge)
		x.Refuse(http.StatusUnauthorized, problem)
	})
}

func (p *keys) authenticate(x *Exchange) (problem string) {
	name, found := p.find(x.Request)
	switch {
	case len(found) == 0 || found[0] == "":
		return "No API key found in request"
	case len(found) > 1:
		return "Duplicate API key found"
	}
	if p.hide {
		p.strip(x.Request, name)
	}
	credential := x.Directory.Credential("keyauth_credentials", found[0])
	if credential == nil || entity.Expired(credential, time.Now()) {
		return "Unauthorized"
	}
	x.identify(x.Directory.Owner(credential), credential, store.ID(credential))
	return ""
}

// find looks for the first name that is given: in the headers, then the query, then the body.
func (p *keys) find(r *http.Request) (name string, values []string) {
	var query url.Values
	if p.inQuery && r.URL.RawQuery != "" {
		query = r.URL.Query()
	}
	for _, name := range p.names {
		if p.inHeader {
			if values := r.Header.Values(name); len(values) > 0 {
				return name, values
			}
		}
		if values := query[name]; len(values) > 0 {
			return name, values
		}
		if p.inBody {
			if values := bodyValues(r)[name]; len(values) > 0 {
				return name, values
			}
		}
	}
	return "", nil
}

// strip keeps the key from the upstream.
func (p *keys) strip(r *http.Request, name string) {
	r.Header.Del(name)
	if query := r.URL.Query(); query.Has(name) {
		query.Del(name)
		r.URL.RawQuery = query.Encode()
	}
	if p.inBody {
		stripBody(r, name)
	}
}

// maxForm is the largest body that is looked into, in bytes.
const maxForm = 1 << 20

// readBody takes the body's text out and leaves it in place.
func readBody(r *http.Request) []byte {
	if r.Body == nil {
		return nil
	}
	text, _ := io.ReadAll(io.LimitReader(r.Body, maxForm))
	r.Body = &replay{io.MultiReader(bytes.NewReader(text), r.Body), r.Body}
	return text
}

// bodyValues reads a form or a JSON object.
func bodyValues(r *http.Request) map[string][]string {
	switch kind := r.Header.Get("Content-Type"); {
	case strings.HasPrefix(kind, "application/x-www-form-urlencoded"):
		values, _ := url.ParseQuery(string(readBody(r)))
		return values
	case strings.HasPrefix(kind, "application/json"):
		var doc map[string]any
		_ = json.Unmarshal(readBody(r), &doc)
		out := map[string][]string{}
		for name, v := range doc {
			if text, ok := v.(string); ok {
				out[name] = []string{text}
			}
		}
		return out
	}
	return nil
}

func stripBody(r *http.Request, name string) {
	switch kind := r.Header.Get("Content-Type"); {
	case strings.HasPrefix(kind, "application/x-www-form-urlencoded"):
		values, err := url.ParseQuery(string(readBody(r)))
		if err == nil && values.Has(name) {
			values.Del(name)
			setBody(r, []byte(values.Encode()))
		}
	case strings.HasPrefix(kind, "application/json"):
		var doc map[string]any
		if json.Unmarshal(readBody(r), &doc) == nil && doc[name] != nil {
			delete(doc, name)
			text, _ := json.Marshal(doc)
			setBody(r, text)
		}
	}
}
