package engine

import (
	"encoding/json"
	"maps"
	"strconv"
	"strings"
)

// encode writes the fields' values into body, each at its API path.
func encode(fields map[string]*Field, in, body values) {
	for _, name := range sorted(fields) {
		field := fields[name]
		value, given := in[name]
		if !given && field.Implicit != nil {
			value, given = number(field.Implicit), true
		}
		if !given || field.API == "-" || field.Output {
			continue
		}
		sent := field.encode(value)
		if members, ok := sent.(values); ok && field.API == "." {
			maps.Copy(body, members)
			continue
		}
		setPath(body, field.API, sent)
	}
}

func (f *Field) encode(value any) any {
	switch v := value.(type) {
	case nil:
		return nil
	case string:
		if f.kind == "json" {
			var parsed any
			if json.Unmarshal([]byte(v), &parsed) == nil {
				return parsed
			}
		}
		return v
	case []any:
		if codec, ok := codecs[f.Codec]; ok {
			return codec.encode(f, v)
		}
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = f.elem.encode(item)
		}
		return out
	case values:
		out := values{}
		if f.kind == "object" {
			encode(f.Fields, v, out)
			return out
		}
		for key, item := range v {
			out[key] = f.elem.encode(item)
		}
		return out
	}
	return value
}

// setPath puts a value at a dotted path. Null removes the whole first step: {"service": null}, not {"service": {"id": null}}.
func setPath(body values, path string, value any) {
	first, rest, nested := strings.Cut(path, ".")
	if !nested {
		body[path] = value
		return
	}
	inner, _ := body[first].(values)
	if value == nil {
		if inner == nil {
			body[first] = nil
		}
		return
	}
	if inner == nil {
		inner = values{}
		body[first] = inner
	}
	setPath(inner, rest, value)
}

func getPath(in any, path string) any {
	for _, step := range strings.Split(path, ".") {
		switch inner := in.(type) {
		case values:
			in = inner[step]
		case []any:
			at, err := strconv.Atoi(step)
			if err != nil || at >= len(inner) {
				return nil
			}
			in = inner[at]
		default:
			return nil
		}
	}
	return in
}

// decode reads the fields out of a response. What is declared decides how far implicit values and JSON texts are kept.
func decode(fields map[string]*Field, response any, declared values) values {
	out := values{}
	for _, name := range sorted(fields) {
		field := fields[name]
		if field.Get == "-" {
			if kept, ok := declared[name]; ok {
				out[name] = kept
			}
			continue
		}
		if value := field.decode(getPath(response, field.Get), declared[name], declared); value != nil {
			out[name] = value
		} else if field.Absent != nil {
			out[name] = field.Absent
		}
	}
	return out
}

func (f *Field) decode(value, declared any, around values) any {
	if declared == nil && f.Implicit != nil && value == number(f.Implicit) {
		return nil
	}
	if f.kind == "seconds" {
		return secondsAs(value, declared)
	}
	var out any
	if codec, ok := codecs[f.Codec]; ok && value != nil {
		value = codec.decode(f, value, declared)
	}
	switch v := value.(type) {
	case values:
		out = f.decodeMap(v, declared, around)
	case []any:
		out = f.decodeList(v, declared)
	default:
		if text, ok := declared.(string); ok && f.Alias[text] != "" && f.Alias[text] == value {
			return declared
		}
		return value
	}
	if list, ok := out.([]any); ok && f.kind == "set" {
		return ordered(f.elem, list, declared)
	}
	return out
}

func (f *Field) decodeList(list []any, declared any) any {
	if f.elem == nil {
		return list
	}
	was, _ := declared.([]any)
	if f.kind == "set" { // the declared elements, each where its equal is in the response
		bare := make([]any, len(list))
		for i, item := range list {
			bare[i] = f.elem.decode(item, nil, values{})
		}
		was = aligned(f.elem, was, bare)
	}
	out := make([]any, len(list))
	for i, item := range list {
		var from any
		if i < len(was) {
			from = was[i]
		}
		out[i] = f.elem.decode(item, from, values{})
	}
	return out
}

// ordered puts the elements of a set in the order in which they were declared, whatever the server's is.
func ordered(elem *Field, list []any, declared any) []any {
	was, _ := declared.([]any)
	out := []any{}
	for _, item := range aligned(elem, list, was) {
		if item != nil {
			out = append(out, item)
		}
	}
	return out
}

func (f *Field) decodeMap(in values, declared any, around values) any {
	switch {
	case f.kind == "json":
		return f.decodeJSON(in, declared, around)
	case f.kind == "object":
		inner, _ := declared.(values)
		return decode(f.Fields, in, inner)
	}
	out := values{}
	for key, item := range in {
		out[key] = item
	}
	was, _ := declared.(values)
	for _, key := range f.Hide {
		if _, kept := was[key]; !kept {
			delete(out, key)
		}
	}
	return out
}
