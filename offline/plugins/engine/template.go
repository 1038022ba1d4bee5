package engine

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// scope resolves the names in a template.
type scope struct {
	inputs   values
	id       string
	split    string
	response any
	lookups  values
	config   values
}

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// text fills a template. Escape, when given, is applied to each value.
func (s scope) text(template string, escape func(string) string) string {
	return placeholder.ReplaceAllStringFunc(template, func(name string) string {
		value := show(s.value(name[1 : len(name)-1]))
		if escape != nil {
			return escape(value)
		}
		return value
	})
}

// value resolves "a|b": the first that is not empty. "a:+text" is the text unless a is empty; a name in quotes is a text.
func (s scope) value(names string) any {
	for _, name := range strings.Split(names, "|") {
		if literal, ok := strings.CutPrefix(name, "'"); ok {
			return strings.TrimSuffix(literal, "'")
		}
		name, text, chosen := strings.Cut(name, ":+")
		if value := s.one(name); !zero(value) {
			if chosen {
				return text
			}
			return value
		}
	}
	return nil
}

func (s scope) one(name string) any {
	switch {
	case name == "id":
		return s.id
	case strings.HasPrefix(name, "id."):
		parts := strings.Split(s.id, s.split)
		if i, err := strconv.Atoi(name[3:]); err == nil && i < len(parts) {
			return parts[i]
		}
		return nil
	case strings.HasPrefix(name, "."):
		return getPath(s.response, name[1:])
	case strings.HasPrefix(name, "config."):
		return s.config[name[7:]]
	}
	if value := getPath(s.inputs, name); value != nil {
		return value
	}
	return getPath(s.lookups, name)
}

// fill fills every template in a body; a text that is one placeholder keeps the value's type.
func (s scope) fill(in any) any {
	switch v := in.(type) {
	case string:
		if found := placeholder.FindString(v); found == v && v != "" {
			return s.value(v[1 : len(v)-1])
		}
		return s.text(v, nil)
	case values:
		out := values{}
		for key, item := range v {
			if filled := s.fill(item); filled != nil {
				out[key] = filled
			}
		}
		return out
	}
	return number(in)
}

// filled fills the templates of a body; nil stays nil.
func (s scope) filled(body map[string]any) any {
	if body == nil {
		return nil
	}
	return s.fill(values(body))
}

// request splits "METHOD /path?query" and fills it; query keys without a value are left out.
func (s scope) request(template string) (method, path string) {
	method, path, _ = strings.Cut(template, " ")
	path, query, _ := strings.Cut(path, "?")
	path = s.text(path, escapeSegments)
	filled := url.Values{}
	for _, pair := range strings.Split(query, "&") {
		key, value, _ := strings.Cut(pair, "=")
		if value = s.text(value, nil); value != "" {
			filled.Set(key, value)
		}
	}
	if len(filled) > 0 {
		path += "?" + filled.Encode()
	}
	return method, path
}

// escapeSegments escapes all but the slashes: keys and mounts are paths themselves.
func escapeSegments(text string) string {
	parts := strings.Split(text, "/")
	for i, part := range parts {
		parts[i] = url.PathEscape(part)
	}
	return strings.Join(parts, "/")
}

func show(v any) string {
	switch v := v.(type) {
	case nil, unknown:
		return ""
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// match finds the properties of an import id by the row's template, such as "{node}/{name}".
func match(template, id string) (values, bool) {
	names := placeholder.FindAllString(template, -1)
	pattern := "^" + regexp.QuoteMeta(template) + "$"
	for i, name := range names {
		part := "([^/]+)"
		if i == len(names)-1 {
			part = "(.+)"
		}
		pattern = strings.Replace(pattern, regexp.QuoteMeta(name), part, 1)
	}
	found := regexp.MustCompile(pattern).FindStringSubmatch(id)
	if found == nil {
		return nil, false
	}
	out := values{}
	for i, name := range names {
		out[name[1:len(name)-1]] = found[i+1]
	}
	return out, true
}
