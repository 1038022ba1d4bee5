package engine

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// checker collects what is wrong with a set of inputs.
type checker struct {
	failures []*pulumirpc.CheckFailure
}

func (c *checker) fail(path, reason string, args ...any) {
	c.failures = append(c.failures, &pulumirpc.CheckFailure{Property: path, Reason: fmt.Sprintf(reason, args...)})
}

// object checks in against fields and returns it with defaults added and numbers and booleans given as text converted.
func (c *checker) object(fields map[string]*Field, in values, path string) values {
	out := values{}
	for _, name := range sorted(in) {
		where := join(path, name)
		field, known := fields[name]
		if !known || field.Output {
			c.unknown(fields, name, where)
			continue
		}
		if in[name] != nil && !(field.kind == "json" && in[name] == "") {
			out[name] = c.value(field, in[name], where)
			c.handled(field, out[name], where)
		}
	}
	for _, name := range sorted(fields) {
		field := fields[name]
		if _, given := out[name]; given || in[name] != nil {
			continue
		}
		switch {
		case field.Default != nil:
			out[name] = number(field.Default)
		case field.Required:
			c.fail(join(path, name), "missing required property %q", join(path, name))
		}
	}
	return out
}

func (c *checker) unknown(fields map[string]*Field, name, where string) {
	inputs := []string{}
	for candidate, field := range fields {
		if !field.Output {
			inputs = append(inputs, candidate)
		}
	}
	if near := nearest(name, inputs); near != "" {
		c.fail(where, "unknown property %q; did you mean %q?", where, near)
		return
	}
	sort.Strings(inputs)
	c.fail(where, "unknown property %q; the properties are %s", where, strings.Join(inputs, ", "))
}

func (c *checker) value(field *Field, in any, path string) any {
	if _, later := in.(unknown); later {
		return in
	}
	switch field.kind {
	case "list", "set":
		list, ok := in.([]any)
		if !ok {
			return c.wrong(field, "a list", in, path)
		}
		out := make([]any, len(list))
		for i, item := range list {
			out[i] = c.value(field.elem, item, fmt.Sprintf("%s[%d]", path, i))
		}
		return out
	case "map":
		entries, ok := in.(values)
		if !ok {
			return c.wrong(field, "a map", in, path)
		}
		out := values{}
		for key, item := range entries {
			out[key] = c.value(field.elem, item, join(path, key))
		}
		return out
	case "object":
		entries, ok := in.(values)
		if !ok {
			return c.wrong(field, "an object", in, path)
		}
		return c.object(field.Fields, entries, path)
	}
	return c.scalar(field, in, path)
}

func (c *checker) scalar(field *Field, in any, path string) any {
	text, isText := in.(string)
	switch field.kind {
	case "integer", "number":
		value, ok := in.(float64)
		if isText {
			parsed, err := strconv.ParseFloat(text, 64)
			value, ok = parsed, err == nil
		}
		if !ok || field.kind == "integer" && value != math.Trunc(value) {
			return c.wrong(field, map[string]string{"integer": "an integer", "number": "a number"}[field.kind], in, path)
		}
		return value
	case "boolean":
		if value, ok := in.(bool); ok {
			return value
		}
		if text == "true" || text == "false" {
			return text == "true"
		}
		return c.wrong(field, "a boolean", in, path)
	}
	switch value := in.(type) {
	case float64:
		text, isText = strconv.FormatFloat(value, 'f', -1, 64), true
	case bool:
		text, isText = strconv.FormatBool(value), true
	}
	if !isText {
		return c.wrong(field, "a string", in, path)
	}
	c.text(field, text, path)
	return text
}

// handled refuses a value that is right but that nothing here acts on.
func (c *checker) handled(field *Field, value any, path string) {
	_, later := value.(unknown)
	if can := number(field.Only); len(field.Only) > 0 && !later && !slices.Contains(can.([]any), value) {
		c.fail(path, "%s can only be %v with this build of the plugin", path, joined(field.Only, " or "))
	}
}

func (c *checker) text(field *Field, text, path string) {
	switch field.kind {
	case "json":
		var object map[string]any
		if err := json.Unmarshal([]byte(text), &object); err != nil {
			c.fail(path, "%s must be the text of a JSON object: %v", path, err)
		}
	case "duration":
		if _, err := time.ParseDuration(text); err != nil {
			c.fail(path, "%s must be a duration such as 10s or 1m30s, not %q", path, text)
		}
	case "seconds":
		if _, ok := lengthOf(text); !ok && text != "" {
			c.fail(path, "%s must be a duration such as 90, 10s, 1h30m or 7d, not %q", path, text)
		}
	}
}

// wrong reports a value of the wrong type by its type alone: the value could be a secret.
func (c *checker) wrong(field *Field, want string, in any, path string) any {
	got := "an object"
	switch in.(type) {
	case string:
		got = "a string"
	case float64:
		got = "a number"
	case bool:
		got = "a boolean"
	case []any:
		got = "a list"
	}
	if field.kind == "integer" && got == "a number" {
		got = "a number with a fraction"
	}
	c.fail(path, "%s must be %s, not %s", path, want, got)
	return in
}

func number(v any) any {
	switch v := v.(type) {
	case int:
		return float64(v)
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = number(item)
		}
		return out
	}
	return v
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

func sorted[V any](in map[string]V) []string {
	out := make([]string, 0, len(in))
	for key := range in {
		out = append(out, key)
	}
	sort.Strings(out)
	return out
}

// nearest is the candidate within two edits of name, or "".
func nearest(name string, candidates []string) string {
	best, at := "", 3
	sort.Strings(candidates)
	for _, candidate := range candidates {
		if d := distance(strings.ToLower(name), strings.ToLower(candidate)); d < at {
			best, at = candidate, d
		}
	}
	return best
}

func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := diagonal
			if a[i-1] != b[j-1] {
				change++
			}
			diagonal = row[j]
			row[j] = min(change, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
