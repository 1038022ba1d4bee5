package plugin

import (
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"nexus/standins/kong/internal/schema"
)

var cacheMethods = schema.Strings("HEAD", "GET", "POST", "PATCH", "PUT")

func proxyCache(shared *Shared) Definition {
	list := func(name string, element schema.Field, defaults []any) schema.Field {
		f := schema.ListOf(name, element)
		f.Required, f.Default = true, defaults
		return f
	}
	code := schema.Field{Type: schema.Integer, Between: schema.Between(100, 900)}
	codes := list("response_code", code, schema.Numbers(200, 301, 404))
	codes.LenMin = 1
	shown := func(name string) schema.Field { return schema.Field{Name: name, Type: schema.Boolean, Default: true} }
	return Definition{
		Name: "proxy-cache", Version: "3.9.1", Priority: 100,
		Config: []schema.Field{
			codes, list("request_method", schema.Field{Type: schema.String, OneOf: cacheMethods}, schema.Strings("GET", "HEAD")),
			list("content_type", schema.Field{Type: schema.String}, schema.Strings("text/plain", "application/json")),
			{Name: "cache_ttl", Type: schema.Integer, Default: 300.0, Positive: true},
			{Name: "strategy", Type: schema.String, Required: true, OneOf: schema.Strings("memory")},
			schema.Flag("cache_control", false), {Name: "ignore_uri_case", Type: schema.Boolean, Default: false},
			{Name: "storage_ttl", Type: schema.Integer},
			{Name: "memory", Type: schema.Record, Fields: []schema.Field{
				{Name: "dictionary_name", Type: schema.String, Required: true, Default: "kong_db_cache"},
			}},
			schema.ListOf("vary_query_params", schema.Field{Type: schema.String}),
			schema.ListOf("vary_headers", schema.Field{Type: schema.String}),
			{Name: "response_headers", Type: schema.Record, Fields: []schema.Field{
				shown("age"), shown("X-Cache-Status"), shown("X-Cache-Key"),
			}},
		},
		Checks: []schema.EntityCheck{{Label: "custom_entity_check", Run: func(entity map[string]any, errs *schema.Errors) {
			name := str(record(record(entity, "config"), "memory"), "dictionary_name")
			if !shared.Responses.has(name) {
				errs.Add("missing shared dict '" + name + "'")
			}
		}}},
		New: func(config map[string]any) any {
			return &cacher{
				shared: shared.Responses, dictionary: str(record(config, "memory"), "dictionary_name"),
				codes: config["response_code"].([]any), methods: strs(config, "request_method"),
				types: strs(config, "content_type"), ttl: int64(num(config, "cache_ttl")),
				storage: int64(num(config, "storage_ttl")), control: flag(config, "cache_control"),
				lower: flag(config, "ignore_uri_case"), params: strs(config, "vary_query_params"),
				headers: strs(config, "vary_headers"), show: record(config, "response_headers"),
			}
		},
	}
}

type cacher struct {
	shared          *Responses
	dictionary      string
	codes           []any
	methods, types  []string
	ttl, storage    int64
	control, lower  bool
	params, headers []string
	show            map[string]any
}

// cacheUse is what the access phase leaves for the response.
type cacheUse struct{ key string }

func (p *cacher) Access(x *Exchange) {
	cc := directives(x.Request.Header.Values("Cache-Control"))
	if !p.mayAnswer(x.Request, cc) {
		p.mark(x, "X-Cache-Status", "Bypass")
		return
	}
	key := p.key(x)
	p.mark(x, "X-Cache-Key", key)
	found := p.shared.Get(p.dictionary, key)
	if found == nil {
		if p.control && cc.has("only-if-cached") {
			x.Exit(http.StatusGatewayTimeout, nil, "")
			return
		}
		p.miss(x, key, "Miss")
		return
	}
	now := time.Now().Unix()
	if p.stale(found, cc, now) {
		p.miss(x, key, "Refresh")
		return
	}
	header := found.Headers.Clone()
	for name := range header {
		if !overwritable(name) {
			header.Del(name)
		}
	}
	for _, name := range []string{"Age", "X-Cache-Status", "X-Cache-Key"} {
		header.Del(name)
	}
	for name, values := range header {
		if x.Header == nil {
			x.Header = http.Header{}
		}
		x.Header[name] = values
	}
	if p.shows(x, "age") {
		x.SetHeader("Age", decimal(float64(now-found.Timestamp)))
	}
	p.mark(x, "X-Cache-Status", "Hit")
	p.mark(x, "X-Cache-Key", key)
	x.Exit(found.Status, []byte(found.Body), "")
}

func (p *cacher) miss(x *Exchange, key, status string) {
	x.SetValue(p, cacheUse{key})
	p.mark(x, "X-Cache-Status", status)
}

func (p *cacher) shows(x *Exchange, name string) bool {
	return p.show[name] == true || x.Request.Header.Get("Kong-Debug") != ""
}

func (p *cacher) mark(x *Exchange, name, value string) {
	if p.shows(x, name) {
		x.SetHeader(name, value)
	}
}

func (p *cacher) mayAnswer(r *http.Request, cc cacheControl) bool {
	if !slices.Contains(p.methods, r.Method) {
		return false
	}
	return !p.control || !(cc.has("no-store") || cc.has("no-cache") || r.Header.Get("Authorization") != "")
}

// stale tells whether the client or the configuration wants something newer.
func (p *cacher) stale(found *Cached, cc cacheControl, now int64) bool {
	age := now - found.Timestamp
	if !p.control {
		return age > p.ttl
	}
	if n, ok := cc.seconds("max-age"); ok && age > n {
		return true
	}
	if n, ok := cc.seconds("max-stale"); ok && age-found.TTL > n {
		return true
	}
	n, ok := cc.seconds("min-fresh")
	return ok && found.TTL-age < n
}

// HeaderFilter keeps the response if it may be kept.
func (p *cacher) HeaderFilter(x *Exchange) {
	use, ok := x.Value(p).(cacheUse)
	if !ok {
		return
	}
	cc := directives(x.Response.Header.Values("Cache-Control"))
	ttl := p.ttl
	if p.control {
		ttl = cc.lifetime(x.Response.Header)
	}
	if !p.mayKeep(x.Response, cc, ttl) {
		p.mark(x, "X-Cache-Status", "Bypass")
		return
	}
	keep := &Cached{
		Status: x.Response.StatusCode, Headers: x.Response.Header.Clone(), Timestamp: time.Now().Unix(), TTL: ttl, Version: 1,
	}
	life := ttl
	if p.storage > 0 {
		life = p.storage
	}
	x.Response.Body = &kept{ReadCloser: x.Response.Body, done: func(body []byte) {
		keep.Body, keep.BodyLen = string(body), len(body)
		p.shared.put(p.dictionary, use.key, keep, time.Duration(life)*time.Second)
	}}
}

func (p *cacher) mayKeep(r *http.Response, cc cacheControl, ttl int64) bool {
	if !slices.Contains(p.codes, any(float64(r.StatusCode))) || !p.rightType(r.Header.Get("Content-Type")) {
		return false
	}
	return !p.control || !(cc.has("private") || cc.has("no-store") || cc.has("no-cache") || ttl <= 0)
}

// rightType compares with every parameter, as the original does: a charset that is not listed is another type.
func (p *cacher) rightType(given string) bool {
	kind, params, err := mime.ParseMediaType(given)
	if err != nil {
		return false
	}
	for _, text := range p.types {
		want, wanted, err := mime.ParseMediaType(text)
		if err != nil || len(params) != len(wanted) {
			continue
		}
		same := want == kind || want == "*/*" || (strings.HasSuffix(want, "/*") && strings.HasPrefix(kind, want[:len(want)-1]))
		for name, value := range wanted {
			same = same && params[name] == value
		}
		if same {
			return true
		}
	}
	return false
}
