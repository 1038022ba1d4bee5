package filter

import (
	"regexp"
	"strings"

	"github.com/elastic/go-grok"

	"nexus/standins/logstash/internal/event"
	"nexus/standins/logstash/internal/plugin"
)

// rule is a field with the patterns that are tried on it in turn.
type rule struct {
	field    string
	patterns []*grok.Grok
}

// newGrok takes texts apart by patterns; it fails, and tags, when none fits.
func newGrok(s *plugin.Settings) func(*event.Event) bool {
	tags := failureTags(s, "_grokparsefailure")
	breakOnMatch := s.Bool("break_on_match", true)
	namedOnly := s.Bool("named_captures_only", true)
	keepEmpty := s.Bool("keep_empty_captures", false)
	overwrite := map[string]bool{}
	for _, field := range s.List("overwrite") {
		overwrite[field] = true
	}
	names := map[string]string{}
	rules := rules(s, namedOnly, names)
	store := func(e *event.Event, captures map[string]any) {
		for name, captured := range captures {
			if captured == nil || captured == "" && !keepEmpty {
				continue
			}
			if nested, ok := names[name]; ok {
				name = nested
			}
			if overwrite[name] {
				e.Set(name, captured)
			} else {
				add(e, name, captured)
			}
		}
	}
	return func(e *event.Event) bool {
		matched := false
		for _, rule := range rules {
			for _, pattern := range rule.patterns {
				text, isText := get(e, rule.field)
				if !isText || !pattern.MatchString(text) {
					continue
				}
				if captures, err := pattern.ParseTypedString(text); err == nil {
					store(e, captures)
				}
				matched = true
				if breakOnMatch {
					return true
				}
				break
			}
		}
		if !matched {
			tag(e, tags)
		}
		return matched
	}
}

// nestedName is a field such as [source][ip] in a pattern; the library takes it with dots.
var nestedName = regexp.MustCompile(`(%\{\w+:)((?:\[[^\[\]]+\])+)`)

func dotted(pattern string, names map[string]string) string {
	return nestedName.ReplaceAllStringFunc(pattern, func(found string) string {
		parts := nestedName.FindStringSubmatch(found)
		name := strings.ReplaceAll(strings.Trim(parts[2], "[]"), "][", ".")
		names[name] = parts[2]
		return parts[1] + name
	})
}

// rules compiles the patterns; the library's own are those of the original. names gets the fields with parts.
func rules(s *plugin.Settings, namedOnly bool, names map[string]string) []rule {
	definitions := map[string]string{}
	for _, pair := range s.Hash("pattern_definitions") {
		definitions[pair.Key] = pair.Texts()[0]
	}
	var rules []rule
	for _, pair := range s.Hash("match") {
		made := rule{field: pair.Key}
		for _, text := range pair.Texts() {
			pattern, err := grok.NewComplete(definitions)
			if err == nil {
				err = pattern.Compile(dotted(text, names), namedOnly)
			}
			if err != nil {
				s.Fail("match", "has a pattern that cannot be used: %s: %w", text, err)
				return nil
			}
			made.patterns = append(made.patterns, pattern)
		}
		rules = append(rules, made)
	}
	if rules == nil {
		s.Fail("match", "is required")
	}
	return rules
}
