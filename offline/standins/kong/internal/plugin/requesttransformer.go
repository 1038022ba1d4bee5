package plugin

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"nexus/standins/kong/internal/schema"
)

var transformSteps = []string{"remove", "rename", "replace", "add", "append"}

func requestTransformerFields() []schema.Field {
	fields := []schema.Field{{Name: "http_method", Type: schema.String, Check: schema.CheckMethod}}
	for _, step := range transformSteps {
		list := func(name string, check schema.Check) schema.Field {
			f := schema.ListOf(name, schema.Field{Type: schema.String, Check: check})
			f.Required, f.Default = true, []any{}
			return f
		}
		value, header := checkHasValue, checkHeaderEdit
		switch step {
		case "remove":
			value = nil
		case "rename":
			header = checkHeaderPair
		}
		parts := []schema.Field{list("body", value), list("headers", header), list("querystring", value)}
		if step == "replace" {
			parts = append(parts, schema.Text("uri"))
		}
		fields = append(fields, schema.Field{Name: step, Type: schema.Record, Fields: parts})
	}
	return fields
}

var requestTransformer = Definition{
	Name: "request-transformer", Version: "3.9.1", Priority: 801, Config: requestTransformerFields(),
	New: func(config map[string]any) any {
		p := &rewriter{method: str(config, "http_method"), uri: str(record(config, "replace"), "uri")}
		for _, step := range transformSteps {
			c := record(config, step)
			for name, into := range map[string]*[]edit{"headers": &p.headers, "querystring": &p.query, "body": &p.body} {
				for _, item := range strs(c, name) {
					name, value, _ := strings.Cut(item, ":")
					*into = append(*into, edit{step, name, value, ""})
				}
			}
		}
		return p
	},
}

func checkHasValue(v any) string {
	name, value, _ := strings.Cut(v.(string), ":")
	if value == "" {
		return "key '" + name + "' has no value"
	}
	return ""
}

func checkHeaderEdit(v any) string {
	name, _, _ := strings.Cut(v.(string), ":")
	if schema.CheckHeaderName(name) != "" {
		return "'" + name + "' is not a valid header"
	}
	return ""
}

type rewriter struct {
	method, uri          string
	headers, query, body []edit
}

func (p *rewriter) Access(x *Exchange) {
	r := x.Request
	if p.uri != "" {
		x.UpstreamPath = render(x, p.uri)
	}
	if p.method != "" {
		r.Method = p.method
	}
	for _, e := range p.headers {
		if !strings.EqualFold(e.name, "host") {
			e.value = render(x, e.value)
			e.onRequestHeader(r.Header)
		}
	}
	p.rewriteBody(x)
	if len(p.query) == 0 {
		return
	}
	values := r.URL.Query()
	for _, e := range p.query {
		e.value = render(x, e.value)
		e.onValues(values)
	}
	r.URL.RawQuery = values.Encode()
}

// onRequestHeader changes a header; a removal with a value is one all the same.
func (e edit) onRequestHeader(h http.Header) {
	if e.step == "remove" {
		h.Del(e.name)
		return
	}
	e.onHeader(h)
}

func (e edit) onValues(values url.Values) {
	present := values.Has(e.name)
	switch {
	case e.step == "remove":
		values.Del(e.name)
	case e.step == "rename" && present:
		values[e.value] = values[e.name]
		values.Del(e.name)
	case e.step == "replace" && present, e.step == "add" && !present:
		values.Set(e.name, e.value)
	case e.step == "append":
		values.Add(e.name, e.value)
	}
}

// rewriteBody changes a JSON object or a form; any other body stays as it is.
func (p *rewriter) rewriteBody(x *Exchange) {
	kind := strings.ToLower(x.Request.Header.Get("Content-Type"))
	isJSON, isForm := strings.Contains(kind, "application/json"), strings.Contains(kind, "x-www-form-urlencoded")
	if len(p.body) == 0 || !(isJSON || isForm) {
		return
	}
	text := readBody(x.Request)
	edits := make([]edit, len(p.body))
	for i, e := range p.body {
		e.value = render(x, e.value)
		edits[i] = e
	}
	if isForm {
		values, err := url.ParseQuery(string(text))
		if err != nil {
			return
		}
		for _, e := range edits {
			e.onValues(values)
		}
		setBody(x.Request, []byte(values.Encode()))
		return
	}
	doc := map[string]any{}
	if len(text) > 0 && json.Unmarshal(text, &doc) != nil {
		return
	}
	for _, e := range edits {
		e.onBody(doc)
	}
	text, _ = json.Marshal(doc)
	setBody(x.Request, text)
}

// setBody replaces a request's body.
func setBody(r *http.Request, text []byte) {
	r.Body = io.NopCloser(bytes.NewReader(text))
	r.ContentLength, r.TransferEncoding = int64(len(text)), nil
	r.Header.Set("Content-Length", strconv.Itoa(len(text)))
}

var placeholder = regexp.MustCompile(`\$\((headers|query_params|uri_captures)(?:\.([A-Za-z0-9_]+)|\[["']?([^"'\]]+)["']?\])\)`)

// render fills $(headers.x), $(query_params["x"]) and $(uri_captures[1]) in.
func render(x *Exchange, text string) string {
	if !strings.Contains(text, "$(") {
		return text
	}
	return placeholder.ReplaceAllStringFunc(text, func(found string) string {
		m := placeholder.FindStringSubmatch(found)
		name := m[2] + m[3]
		switch m[1] {
		case "headers":
			return x.Request.Header.Get(strings.ReplaceAll(name, "_", "-"))
		case "query_params":
			return x.Request.URL.Query().Get(name)
		}
		if x.Capture == nil {
			return ""
		}
		return x.Capture(name)
	})
}
