package filter

import (
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
	rules := rules(s, namedOnly)
	store := func(e *event.Event, captures map[string]any) {
		for name, captured := range captures {
			if captured == nil || captured == "" && !keepEmpty {
				continue
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

// rules compiles the patterns; the library's own are those of the original.
func rules(s *plugin.Settings, namedOnly bool) []rule {
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
				err = pattern.Compile(text, namedOnly)
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
