package engine

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// codec is how a server spells a list.
type codec struct {
	encode func(field *Field, list []any) any
	decode func(field *Field, there, declared any) any
}

var codecs map[string]codec

func init() { // not where it is declared: the codecs of objects come back here for their members
	codecs = map[string]codec{
		// {name, values} ... as one map
		"named-values": {encodeNamed, decodeNamed},
		// objects as one map by their member Key, in a request the text of that map
		"keyed-text": {encodeKeyed, decodeKeyed},
		// names as objects {Name} or, when they are ids, {ID}
		"links": {encodeLinks, decodeLinks},
		// texts as one with commas
		"commas": {
			func(_ *Field, list []any) any { return joined(list, ",") },
			func(_ *Field, there, _ any) any { return there },
		},
		// an output: a map by version as a list, oldest first; a version that is a number alone is its time
		"versions": {nil, decodeVersions},
	}
}

func encodeNamed(field *Field, list []any) any {
	out := values{}
	for _, item := range list {
		name := show(getPath(item, "name"))
		for key := range field.Fields {
			if key != "name" {
				out[name] = getPath(item, key)
			}
		}
	}
	return out
}

func decodeNamed(field *Field, there, _ any) any {
	in, _ := there.(values)
	out := []any{}
	for _, name := range sorted(in) {
		for key := range field.Fields {
			if key != "name" {
				out = append(out, values{"name": name, key: in[name]})
			}
		}
	}
	return out
}

func encodeKeyed(field *Field, list []any) any {
	out := values{}
	for _, item := range list {
		inner := values{}
		entry, _ := item.(values)
		encode(field.Fields, entry, inner)
		key := field.Fields[field.Key].API
		name := show(inner[key])
		delete(inner, key)
		out[name] = inner
	}
	text, err := json.Marshal(out)
	if err != nil {
		return nil
	}
	return string(text)
}

func decodeKeyed(field *Field, there, _ any) any {
	in, _ := there.(values)
	out := []any{}
	for _, name := range sorted(in) {
		entry := values{field.Fields[field.Key].Get: name}
		inner, _ := in[name].(values)
		for key, value := range inner {
			entry[key] = value
		}
		out = append(out, entry)
	}
	return out
}

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

func encodeLinks(_ *Field, list []any) any {
	out := make([]any, len(list))
	for i, item := range list {
		key := "Name"
		if uuid.MatchString(show(item)) {
			key = "ID"
		}
		out[i] = values{key: item}
	}
	return out
}

func decodeLinks(_ *Field, there, declared any) any {
	list, _ := there.([]any)
	was, _ := declared.([]any)
	byID := map[any]bool{}
	for _, item := range was {
		byID[item] = true
	}
	out := make([]any, len(list))
	for i, item := range list {
		out[i] = getPath(item, "Name")
		if id := getPath(item, "ID"); byID[id] {
			out[i] = id
		}
	}
	return out
}

func decodeVersions(_ *Field, there, _ any) any {
	in, _ := there.(values)
	out := []any{}
	for version := 1; len(out) < len(in) && version < 1<<16; version++ {
		switch value := in[strconv.Itoa(version)].(type) {
		case nil:
		case values:
			texts := values{}
			for key, item := range value {
				texts[key] = show(item)
			}
			out = append(out, texts)
		default:
			out = append(out, values{"id": show(value)})
		}
	}
	return out
}

// joined shows the elements of a list, or of lists in it, in one text.
func joined(list []any, with string) string {
	parts := []string{}
	for _, item := range list {
		if inner, ok := item.([]any); ok {
			item = joined(inner, with)
		}
		if text := show(item); text != "" {
			parts = append(parts, text)
		}
	}
	return strings.Join(parts, with)
}

// lengthOf reads a length of time: seconds, or a number with a unit of which "d" is a day.
func lengthOf(text string) (time.Duration, bool) {
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		return time.Duration(seconds * float64(time.Second)), true
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if count, err := strconv.ParseFloat(days, 64); err == nil {
			return time.Duration(count * 24 * float64(time.Hour)), true
		}
	}
	length, err := time.ParseDuration(text)
	return length, err == nil
}

// secondsAs shows a server's seconds as they were declared, when that is the same length.
func secondsAs(there, declared any) any {
	switch {
	case declared != nil && sameSeconds(show(there), show(declared)):
		return declared
	case zero(there):
		return nil
	}
	return show(there)
}

func sameSeconds(a, b string) bool {
	left, leftOK := lengthOf(a)
	right, rightOK := lengthOf(b)
	return a == b || leftOK && rightOK && left == right
}
