// Package plugin has what inputs, filters and outputs have in common: how their settings are read and checked.
package plugin

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"nexus/standins/logstash/internal/config"
	"nexus/standins/logstash/internal/event"
)

// Settings reads a plugin's settings one by one; what nobody asked for is an error in Done.
type Settings struct {
	of   *config.Plugin
	kind string
	used map[string]bool
	errs []error
}

// Read begins with a plugin of a kind (input, filter, output).
func Read(of *config.Plugin, kind string) *Settings {
	return &Settings{of: of, kind: kind, used: map[string]bool{}}
}

// Done is the first thing that was wrong, with its line.
func (s *Settings) Done() error {
	for _, pair := range s.of.Settings {
		if !s.used[pair.Key] {
			s.errs = append(s.errs, s.wrap(pair.At, fmt.Errorf("Unknown setting '%s' for %s", pair.Key, s.of.Name)))
		}
	}
	return errors.Join(s.errs...)
}

func (s *Settings) wrap(at config.Position, err error) error {
	return fmt.Errorf("line %d: %s %s: %w", at.Line, s.of.Name, s.kind, err)
}

// Fail notes a mistake in a setting.
func (s *Settings) Fail(name, format string, values ...any) {
	at := s.of.At
	for _, pair := range s.of.Settings {
		if pair.Key == name {
			at = pair.At
		}
	}
	s.errs = append(s.errs, s.wrap(at, fmt.Errorf("setting '%s' "+format, append([]any{name}, values...)...)))
}

// value is the last setting of that name; texts have their environment filled in.
func (s *Settings) value(name string) (any, bool) {
	s.used[name] = true
	var found any
	there := false
	for _, pair := range s.of.Settings {
		if pair.Key == name {
			found, there = s.filled(name, pair.Value), true
		}
	}
	return found, there
}

func (s *Settings) filled(name string, value any) any {
	switch typed := value.(type) {
	case string:
		text, err := event.Environment(typed)
		if err != nil {
			s.Fail(name, "%w", err)
		}
		return text
	case []any:
		list := make([]any, len(typed))
		for i, each := range typed {
			list[i] = s.filled(name, each)
		}
		return list
	case []config.Pair:
		pairs := make([]config.Pair, len(typed))
		for i, pair := range typed {
			pairs[i] = config.Pair{Key: pair.Key, Value: s.filled(name, pair.Value), At: pair.At}
		}
		return pairs
	}
	return value
}

// Has says whether a setting is given.
func (s *Settings) Has(name string) bool {
	for _, pair := range s.of.Settings {
		if pair.Key == name {
			return true
		}
	}
	return false
}

// String is a text, a bare name, or a number as text.
func (s *Settings) String(name, fallback string) string {
	value, there := s.value(name)
	if !there {
		return fallback
	}
	text, ok := scalar(value)
	if !ok {
		s.Fail(name, "must be a string")
	}
	return text
}

// OneOf is a String out of a list.
func (s *Settings) OneOf(name, fallback string, allowed ...string) string {
	text := s.String(name, fallback)
	for _, each := range allowed {
		if text == each {
			return text
		}
	}
	s.Fail(name, "expected one of %v, got %q", allowed, text)
	return text
}

// Int is a whole number.
func (s *Settings) Int(name string, fallback int) int {
	value, there := s.value(name)
	if !there {
		return fallback
	}
	text, _ := scalar(value)
	number, err := strconv.Atoi(text)
	if err != nil {
		s.Fail(name, "must be a number, got %v", value)
	}
	return number
}

// Bool is true or false.
func (s *Settings) Bool(name string, fallback bool) bool {
	value, there := s.value(name)
	if !there {
		return fallback
	}
	text, _ := scalar(value)
	parsed, err := strconv.ParseBool(text)
	if err != nil {
		s.Fail(name, "must be a boolean, got %v", value)
	}
	return parsed
}

// List is an array of texts; one text is a list of one.
func (s *Settings) List(name string) []string {
	value, there := s.value(name)
	if !there {
		return nil
	}
	values, ok := value.([]any)
	if !ok {
		values = []any{value}
	}
	list := make([]string, 0, len(values))
	for _, each := range values {
		text, ok := scalar(each)
		if !ok {
			s.Fail(name, "must be an array of strings")
		}
		list = append(list, text)
	}
	return list
}

// Pair is an entry of a hash.
type Pair struct {
	Key   string
	Value any
}

// Texts are an entry's value as texts: of a list all, else the one.
func (p Pair) Texts() []string {
	if values, ok := p.Value.([]any); ok {
		texts := make([]string, len(values))
		for i, each := range values {
			texts[i], _ = scalar(each)
		}
		return texts
	}
	text, _ := scalar(p.Value)
	return []string{text}
}

// Hash is `{ key => value }` in order, or the older `[ key, value, ... ]`.
func (s *Settings) Hash(name string) []Pair {
	value, there := s.value(name)
	if !there {
		return nil
	}
	var pairs []Pair
	switch typed := value.(type) {
	case []config.Pair:
		for _, pair := range typed {
			pairs = append(pairs, Pair{pair.Key, pair.Value})
		}
	case []any:
		if len(typed)%2 != 0 {
			s.Fail(name, "must be a hash, this list has a key without a value")
			return nil
		}
		for i := 0; i < len(typed); i += 2 {
			key, _ := scalar(typed[i])
			pairs = append(pairs, Pair{key, typed[i+1]})
		}
	default:
		s.Fail(name, "must be a hash")
	}
	return pairs
}

// Codec is plain, json, json_lines or rubydebug.
func (s *Settings) Codec(fallback string, allowed ...string) string {
	value, there := s.value("codec")
	if !there {
		return fallback
	}
	name := ""
	if with, ok := value.(*config.Plugin); ok {
		name = with.Name
		if len(with.Settings) > 0 {
			s.Fail("codec", "%s takes no settings here", name)
		}
	} else {
		name, _ = scalar(value)
	}
	for _, each := range allowed {
		if name == each {
			return name
		}
	}
	s.Fail("codec", "expected one of %s, got %s", strings.Join(allowed, ", "), name)
	return name
}

func scalar(value any) (string, bool) {
	switch typed := value.(type) {
	case string:
		return typed, true
	case config.Name:
		return string(typed), true
	case float64:
		return strconv.FormatFloat(typed, 'f', -1, 64), true
	case bool:
		return strconv.FormatBool(typed), true
	}
	return "", false
}
