// Package input has the inputs: each takes events from clients and answers them once the queue has them.
package input

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"strconv"

	"nexus/standins/logstash/internal/config"
	"nexus/standins/logstash/internal/event"
	"nexus/standins/logstash/internal/plugin"
)

// Push hands events over; it returns once they are kept.
type Push func(context.Context, []*event.Event) error

// Input listens until it is closed.
type Input interface {
	// Listen takes the port; Serve runs until Close.
	Listen() error
	Serve(push Push)
	Close() error
}

var kinds = map[string]func(*plugin.Settings, *slog.Logger) Input{"beats": beats, "http": httpInput, "tcp": tcp}

// Made is an input with what it adds to each of its events.
type Made struct {
	Input
	Name     string
	addField []plugin.Pair
	kind     string
	tags     []string
}

// New makes an input of its declaration.
func New(declared *config.Plugin, logger *slog.Logger) (*Made, error) {
	kind, known := kinds[declared.Name]
	if !known {
		return nil, fmt.Errorf("line %d: Couldn't find any input plugin named '%s'. Are you sure this is correct?",
			declared.At.Line, declared.Name)
	}
	s := plugin.Read(declared, "input")
	made := &Made{Input: kind(s, logger.With("input", declared.Name)), Name: declared.Name}
	made.addField, made.tags, made.kind = s.Hash("add_field"), s.List("tags"), s.String("type", "")
	s.String("id", "")
	s.Bool("enable_metric", true)
	s.OneOf("ecs_compatibility", "disabled", "disabled")
	return made, s.Done()
}

// Decorate adds what every input can add.
func (m *Made) Decorate(events []*event.Event) {
	for _, e := range events {
		for _, pair := range m.addField {
			e.Set(pair.Key, e.Format(pair.Texts()[0]))
		}
		for _, tag := range m.tags {
			e.Tag(tag)
		}
		if _, there := e.Get("type"); m.kind != "" && !there {
			e.Set("type", m.kind)
		}
	}
}

// endpoint is host and port of a plugin that listens.
func endpoint(s *plugin.Settings, port int) string {
	if port == 0 && !s.Has("port") {
		s.Fail("port", "is required")
	}
	return net.JoinHostPort(s.String("host", "0.0.0.0"), strconv.Itoa(s.Int("port", port)))
}

// decode makes events of one text, by codec: a JSON array is several; what is not JSON is kept with a tag.
func decode(codec string, text []byte) []*event.Event {
	if codec == "plain" || codec == "line" {
		return []*event.Event{event.New(map[string]any{"message": string(text)})}
	}
	var parsed any
	err := event.Decode(text, &parsed)
	values, isList := parsed.([]any)
	if !isList {
		values = []any{parsed}
	}
	var events []*event.Event
	for _, value := range values {
		fields, isHash := value.(map[string]any)
		if err != nil || !isHash {
			e := event.New(map[string]any{"message": string(text)})
			e.Tag("_jsonparsefailure")
			return append(events, e)
		}
		events = append(events, event.New(fields))
	}
	return events
}
