// Package filter has the filters: each changes an event and says whether it succeeded, which its decorations follow.
package filter

import (
	"fmt"

	"nexus/standins/logstash/internal/config"
	"nexus/standins/logstash/internal/event"
	"nexus/standins/logstash/internal/plugin"
)

// Filter is one filter of a pipeline.
type Filter struct {
	apply func(*event.Event) bool
	decoration
}

// decoration is what every filter can do to an event it succeeded on.
type decoration struct {
	addField          []plugin.Pair
	removeField       []string
	addTag, removeTag []string
}

var kinds = map[string]func(*plugin.Settings) func(*event.Event) bool{
	"date":   date,
	"drop":   drop,
	"grok":   newGrok,
	"json":   jsonFilter,
	"mutate": mutate,
}

// New makes a filter of its declaration.
func New(declared *config.Plugin) (*Filter, error) {
	kind, known := kinds[declared.Name]
	if !known {
		return nil, fmt.Errorf("line %d: Couldn't find any filter plugin named '%s'. Are you sure this is correct?",
			declared.At.Line, declared.Name)
	}
	s := plugin.Read(declared, "filter")
	f := &Filter{apply: kind(s)}
	f.addField = s.Hash("add_field")
	f.removeField = s.List("remove_field")
	f.addTag, f.removeTag = s.List("add_tag"), s.List("remove_tag")
	s.String("id", "")
	s.Bool("enable_metric", true)
	s.Bool("periodic_flush", false)
	return f, s.Done()
}

// Apply changes the event.
func (f *Filter) Apply(e *event.Event) {
	if !f.apply(e) || e.Cancelled {
		return
	}
	for _, pair := range f.addField {
		add(e, e.Format(pair.Key), formatted(e, pair.Value))
	}
	for _, name := range f.removeField {
		e.Remove(e.Format(name))
	}
	for _, tag := range f.addTag {
		e.Tag(e.Format(tag))
	}
	for _, tag := range f.removeTag {
		e.Untag(e.Format(tag))
	}
}

// add writes a field; beside a value that is there already, it makes a list.
func add(e *event.Event, name string, value any) {
	there, found := e.Get(name)
	if !found {
		e.Set(name, value)
		return
	}
	list, isList := there.([]any)
	if !isList {
		list = []any{there}
	}
	if more, ok := value.([]any); ok {
		e.Set(name, append(list, more...))
		return
	}
	e.Set(name, append(list, value))
}

// formatted is a setting's value with the event's fields filled in.
func formatted(e *event.Event, value any) any {
	switch typed := value.(type) {
	case string:
		return e.Format(typed)
	case config.Name:
		return string(typed)
	case []any:
		list := make([]any, len(typed))
		for i, each := range typed {
			list[i] = formatted(e, each)
		}
		return list
	case []config.Pair:
		hash := map[string]any{}
		for _, pair := range typed {
			hash[e.Format(pair.Key)] = formatted(e, pair.Value)
		}
		return hash
	}
	return value
}

func drop(*plugin.Settings) func(*event.Event) bool {
	return func(e *event.Event) bool { e.Cancelled = true; return true }
}

func jsonFilter(s *plugin.Settings) func(*event.Event) bool {
	source, target := s.String("source", ""), s.String("target", "")
	quiet := s.Bool("skip_on_invalid_json", false)
	tags := failureTags(s, "_jsonparsefailure")
	if source == "" {
		s.Fail("source", "is required")
	}
	return func(e *event.Event) bool {
		text, there := e.Get(source)
		if !there || text == nil {
			return false
		}
		var parsed any
		if err := event.Decode([]byte(event.Text(text)), &parsed); err != nil {
			if !quiet {
				tag(e, tags)
			}
			return false
		}
		if target != "" {
			e.Set(target, parsed)
			return true
		}
		fields, isHash := parsed.(map[string]any)
		if !isHash {
			tag(e, tags)
			return false
		}
		for name, value := range fields {
			e.Set(bracketed(name), value)
		}
		return true
	}
}

// bracketed keeps a name such as "[a" or "a.b" one name.
func bracketed(name string) string {
	if name == "" || name[0] != '[' {
		return name
	}
	return "[" + name + "]"
}

func failureTags(s *plugin.Settings, fallback string) []string {
	if s.Has("tag_on_failure") {
		return s.List("tag_on_failure")
	}
	return []string{fallback}
}

func tag(e *event.Event, tags []string) {
	for _, each := range tags {
		e.Tag(each)
	}
}
