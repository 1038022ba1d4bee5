package plugin

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"

	"nexus/standins/kong/internal/schema"
)

var responseTransformer = Definition{
	Name: "response-transformer", Version: "3.9.1", Priority: 800,
	Config: []schema.Field{
		edits("remove", nil, nil, false),
		edits("rename", checkPair, checkHeaderPair, false),
		edits("replace", checkPair, checkPair, true),
		edits("add", checkPair, checkPair, true),
		edits("append", checkPair, checkPair, true),
	},
	New: func(config map[string]any) any {
		t := &transformer{}
		for _, step := range []string{"remove", "rename", "replace", "add", "append"} {
			c := record(config, step)
			types := strs(c, "json_types")
			for i, item := range strs(c, "json") {
				kind := ""
				if i < len(types) {
					kind = types[i]
				}
				name, value, _ := strings.Cut(item, ":")
				t.body = append(t.body, edit{step, name, value, kind})
			}
			for _, item := range strs(c, "headers") {
				name, value, _ := strings.Cut(item, ":")
				t.headers = append(t.headers, edit{step, name, value, ""})
			}
		}
		return t
	},
}

func edits(name string, body, header schema.Check, typed bool) schema.Field {
	list := func(name string, element schema.Field) schema.Field {
		f := schema.ListOf(name, element)
		f.Required, f.Default = true, []any{}
		return f
	}
	fields := []schema.Field{
		list("json", schema.Field{Type: schema.String, Check: body}),
		list("headers", schema.Field{Type: schema.String, Check: header}),
	}
	if typed {
		fields = append(fields, list("json_types",
			schema.Field{Type: schema.String, OneOf: schema.Strings("boolean", "number", "string")}))
	}
	return schema.Field{Name: name, Type: schema.Record, Fields: fields}
}

func checkPair(v any) string {
	if strings.IndexByte(v.(string), ':') < 1 {
		return "invalid value: " + v.(string)
	}
	return ""
}

func checkHeaderPair(v any) string {
	if msg := checkPair(v); msg != "" {
		return msg
	}
	from, to, _ := strings.Cut(v.(string), ":")
	for _, name := range []string{from, to} {
		if schema.CheckHeaderName(name) != "" {
			return "'" + name + "' is not a valid header"
		}
	}
	return ""
}

// edit is one change; the steps run in the order remove, rename, replace, add, append.
type edit struct{ step, name, value, kind string }

type transformer struct{ headers, body []edit }

func (t *transformer) HeaderFilter(x *Exchange) {
	h := x.Response.Header
	isJSON := strings.HasPrefix(strings.TrimSpace(h.Get("Content-Type")), "application/json")
	for _, e := range t.headers {
		e.onHeader(h)
	}
	if len(t.body) > 0 && isJSON {
		t.rewrite(x.Response)
	}
}

func (e edit) onHeader(h http.Header) {
	_, present := h[http.CanonicalHeaderKey(e.name)]
	switch {
	case e.step == "remove":
		h.Del(e.name)
	case e.value == "":
	case e.step == "rename" && present:
		h[http.CanonicalHeaderKey(e.value)] = h.Values(e.name)
		h.Del(e.name)
	case e.step == "replace" && present, e.step == "add" && !present:
		h.Set(e.name, e.value)
	case e.step == "append":
		h.Add(e.name, e.value)
	}
}

// rewrite changes a JSON body; any other body stays as it is.
func (t *transformer) rewrite(r *http.Response) {
	raw, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	doc := map[string]any{}
	if err == nil && json.Unmarshal(raw, &doc) == nil {
		for _, e := range t.body {
			e.onBody(doc)
		}
		raw, _ = json.Marshal(doc)
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	r.ContentLength = int64(len(raw))
	r.Header.Set("Content-Length", strconv.Itoa(len(raw)))
}

func (e edit) onBody(doc map[string]any) {
	current, present := doc[e.name]
	switch {
	case e.step == "remove":
		delete(doc, e.name)
	case e.value == "":
	case e.step == "rename" && present:
		doc[e.value] = current
		delete(doc, e.name)
	case e.step == "replace" && present, e.step == "add" && !present:
		doc[e.name] = e.cast()
	case e.step == "append":
		doc[e.name] = appended(current, e.cast())
	}
}

func appended(current, value any) any {
	switch t := current.(type) {
	case string:
		return []any{t, value}
	case []any:
		return append(t, value)
	}
	return []any{value}
}

func (e edit) cast() any {
	switch e.kind {
	case "number":
		if n, err := strconv.ParseFloat(e.value, 64); err == nil {
			return n
		}
	case "boolean":
		return e.value == "true"
	}
	return e.value
}
