package filter

import (
	"encoding/json"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"nexus/standins/logstash/internal/event"
	"nexus/standins/logstash/internal/plugin"
)

// mutate does its changes in the original's order, whatever order they are written in.
func mutate(s *plugin.Settings) func(*event.Event) bool {
	steps := []func(*event.Event){
		each(s, "coerce", func(e *event.Event, field, value string) {
			if there, found := e.Get(field); found && there == nil {
				e.Set(field, e.Format(value))
			}
		}),
		each(s, "rename", func(e *event.Event, field, to string) {
			if value, found := e.Remove(e.Format(field)); found {
				e.Set(e.Format(to), value)
			}
		}),
		each(s, "update", func(e *event.Event, field, value string) {
			if _, found := e.Get(field); found {
				e.Set(field, e.Format(value))
			}
		}),
		each(s, "replace", func(e *event.Event, field, value string) { e.Set(field, e.Format(value)) }),
		convert(s),
		gsub(s),
		texts(s, "uppercase", strings.ToUpper),
		texts(s, "capitalize", capitalize),
		texts(s, "lowercase", strings.ToLower),
		texts(s, "strip", strings.TrimSpace),
		each(s, "split", func(e *event.Event, field, by string) {
			if text, isText := get(e, field); isText {
				e.Set(field, splitText(text, by))
			}
		}),
		each(s, "join", func(e *event.Event, field, by string) {
			if list, isList := value(e, field).([]any); isList {
				parts := make([]string, len(list))
				for i, part := range list {
					parts[i] = event.Text(part)
				}
				e.Set(field, strings.Join(parts, by))
			}
		}),
		each(s, "merge", func(e *event.Event, field, from string) {
			if more, found := e.Get(from); found {
				add(e, field, more)
			}
		}),
		each(s, "copy", func(e *event.Event, field, to string) {
			if there, found := e.Get(field); found {
				e.Set(e.Format(to), clone(there))
			}
		}),
	}
	return func(e *event.Event) bool {
		for _, step := range steps {
			step(e)
		}
		return true
	}
}

func each(s *plugin.Settings, name string, change func(e *event.Event, field, value string)) func(*event.Event) {
	pairs := s.Hash(name)
	return func(e *event.Event) {
		for _, pair := range pairs {
			change(e, pair.Key, pair.Texts()[0])
		}
	}
}

func texts(s *plugin.Settings, name string, change func(string) string) func(*event.Event) {
	fields := s.List(name)
	return func(e *event.Event) {
		for _, field := range fields {
			switch there := value(e, field).(type) {
			case string:
				e.Set(field, change(there))
			case []any:
				for i, part := range there {
					if text, ok := part.(string); ok {
						there[i] = change(text)
					}
				}
			}
		}
	}
}

func gsub(s *plugin.Settings) func(*event.Event) {
	list := s.List("gsub")
	if len(list)%3 != 0 {
		s.Fail("gsub", "expects field, pattern, replacement, and again; got %d values", len(list))
		return func(*event.Event) {}
	}
	patterns := make([]*regexp.Regexp, len(list))
	for i := 1; i < len(list); i += 3 {
		pattern, err := regexp.Compile(list[i])
		if err != nil {
			s.Fail("gsub", "has a pattern that is not a regular expression: %w", err)
			return func(*event.Event) {}
		}
		patterns[i] = pattern
	}
	backReference := regexp.MustCompile(`\\(\d)`)
	return func(e *event.Event) {
		for i := 0; i < len(list); i += 3 {
			with := backReference.ReplaceAllString(strings.ReplaceAll(e.Format(list[i+2]), "$", "$$"), "$${$1}")
			if text, isText := get(e, list[i]); isText {
				e.Set(list[i], patterns[i+1].ReplaceAllString(text, with))
			}
		}
	}
}

var conversions = map[string]func(string) (any, bool){
	"string": func(text string) (any, bool) { return text, true },
	"integer": func(text string) (any, bool) {
		number, err := strconv.ParseFloat(text, 64)
		return int64(math.Trunc(number)), err == nil
	},
	"float": func(text string) (any, bool) { number, err := strconv.ParseFloat(text, 64); return number, err == nil },
	"boolean": func(text string) (any, bool) {
		switch strings.ToLower(text) {
		case "true", "t", "yes", "y", "1", "1.0":
			return true, true
		case "false", "f", "no", "n", "0", "0.0", "":
			return false, true
		}
		return text, true
	},
}

func convert(s *plugin.Settings) func(*event.Event) {
	pairs := s.Hash("convert")
	for _, pair := range pairs {
		if _, known := conversions[pair.Texts()[0]]; !known {
			s.Fail("convert", "has no type %q for %s", pair.Texts()[0], pair.Key)
		}
	}
	return func(e *event.Event) {
		for _, pair := range pairs {
			there, found := e.Get(pair.Key)
			if !found || there == nil {
				continue
			}
			if converted, ok := conversions[pair.Texts()[0]](event.Text(there)); ok {
				e.Set(pair.Key, converted)
			}
		}
	}
}

func value(e *event.Event, field string) any {
	there, _ := e.Get(field)
	return there
}

func get(e *event.Event, field string) (string, bool) {
	text, isText := value(e, field).(string)
	return text, isText
}

func capitalize(text string) string {
	_, size := utf8.DecodeRuneInString(text)
	return strings.ToUpper(text[:size]) + strings.ToLower(text[size:])
}

func splitText(text, by string) []any {
	parts := strings.Split(text, by)
	list := make([]any, len(parts))
	for i, part := range parts {
		list[i] = part
	}
	return list
}

func clone(there any) any {
	switch there.(type) {
	case map[string]any, []any:
		text, _ := json.Marshal(there)
		var copied any
		_ = event.Decode(text, &copied)
		return copied
	}
	return there
}
