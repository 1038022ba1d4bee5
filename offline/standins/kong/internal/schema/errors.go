package schema

import (
	"fmt"
	"sort"
	"strconv"
	"strings"
)

// Errors collects what is wrong with a record.
type Errors struct {
	Fields map[string]any // message, map of messages, or list with nil gaps
	Entity []any
}

// Set records a field's error.
func (e *Errors) Set(name string, err any) {
	if err == nil || err == "" {
		return
	}
	if e.Fields == nil {
		e.Fields = map[string]any{}
	}
	e.Fields[name] = err
}

// SetPath records the error of a nested field, by the names on the way to it.
func (e *Errors) SetPath(message string, names ...string) {
	if e.Fields == nil {
		e.Fields = map[string]any{}
	}
	into := e.Fields
	for _, name := range names[:len(names)-1] {
		next, ok := into[name].(map[string]any)
		if !ok {
			next = map[string]any{}
			into[name] = next
		}
		into = next
	}
	into[names[len(names)-1]] = message
}

// Add records an error of the whole entity.
func (e *Errors) Add(message string) { e.Entity = append(e.Entity, message) }

// Empty is true when nothing is wrong.
func (e *Errors) Empty() bool { return len(e.Fields) == 0 && len(e.Entity) == 0 }

// Map is the form shown to clients: fields and "@entity" side by side.
func (e *Errors) Map() map[string]any {
	out := make(map[string]any, len(e.Fields)+1)
	for k, v := range e.Fields {
		out[k] = v
	}
	if len(e.Entity) > 0 {
		out["@entity"] = e.Entity
	}
	return out
}

// Message sums the errors up in one line.
func (e *Errors) Message() string {
	parts := []string{}
	for _, m := range e.Entity {
		parts = append(parts, fmt.Sprint(m))
	}
	for _, name := range sortedKeys(e.Fields) {
		switch v := e.Fields[name].(type) {
		case map[string]any:
			for _, sub := range sortedKeys(v) {
				parts = append(parts, name+"."+sub+": "+flat(v[sub]))
			}
		case []any:
			for i, item := range v {
				if item != nil {
					parts = append(parts, name+"."+strconv.Itoa(i+1)+": "+flat(item))
				}
			}
		default:
			parts = append(parts, name+": "+flat(v))
		}
	}
	if len(parts) == 1 {
		return "schema violation (" + parts[0] + ")"
	}
	return fmt.Sprintf("%d schema violations (%s)", len(parts), strings.Join(parts, "; "))
}

func flat(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return Pretty(v)
}

// Pretty renders a value in the brace notation of the original's messages.
func Pretty(v any) string {
	switch t := v.(type) {
	case nil:
		return "null"
	case string:
		return strconv.Quote(t)
	case float64:
		return strconv.FormatFloat(t, 'f', -1, 64)
	case map[string]any:
		parts := make([]string, 0, len(t))
		for _, k := range sortedKeys(t) {
			parts = append(parts, prettyKey(k)+"="+Pretty(t[k]))
		}
		return "{" + strings.Join(parts, ",") + "}"
	case []any:
		parts := make([]string, 0, len(t))
		for _, item := range t {
			parts = append(parts, Pretty(item))
		}
		return "{" + strings.Join(parts, ",") + "}"
	default:
		return fmt.Sprint(v)
	}
}

func prettyKey(k string) string {
	for _, r := range k {
		if r != '_' && !(r >= 'a' && r <= 'z') && !(r >= 'A' && r <= 'Z') && !(r >= '0' && r <= '9') {
			return "[" + strconv.Quote(k) + "]"
		}
	}
	return k
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// Quoted renders words as 'a', 'b', 'c'.
func Quoted(words ...string) string {
	return "'" + strings.Join(words, "', '") + "'"
}
