// Package event is what goes through a pipeline: fields, and metadata that no output writes.
package event

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Timestamp is the field every event has.
const Timestamp = "@timestamp"

// layout is ISO 8601 with milliseconds, as the original writes it.
const layout = "2006-01-02T15:04:05.000Z07:00"

// Event is one event.
type Event struct {
	Fields   map[string]any
	Metadata map[string]any
	// Cancelled: a filter dropped it.
	Cancelled bool
}

// New makes an event of fields; @timestamp and @version are added where they are missing.
func New(fields map[string]any) *Event {
	if fields == nil {
		fields = map[string]any{}
	}
	e := &Event{Fields: fields, Metadata: map[string]any{}}
	if metadata, ok := fields["@metadata"].(map[string]any); ok {
		e.Metadata = metadata
		delete(fields, "@metadata")
	}
	e.normalise()
	if fields["@version"] == nil {
		fields["@version"] = "1"
	}
	return e
}

// normalise makes a time of @timestamp; what is no time is kept beside, with a tag, as the original does.
func (e *Event) normalise() {
	switch stamp := e.Fields[Timestamp].(type) {
	case time.Time:
		return
	case string:
		if parsed, err := time.Parse(time.RFC3339Nano, stamp); err == nil {
			e.Fields[Timestamp] = parsed.UTC()
			return
		}
		e.Fields["_@timestamp"] = stamp
		e.Tag("_timestampparsefailure")
	}
	e.Fields[Timestamp] = time.Now().UTC()
}

// Time is the event's time.
func (e *Event) Time() time.Time {
	stamp, _ := e.Fields[Timestamp].(time.Time)
	return stamp
}

// path splits a reference: `a` and `[a]` are one name, `[a][b]` two.
func path(reference string) []string {
	if !strings.HasPrefix(reference, "[") {
		return []string{reference}
	}
	return strings.Split(strings.TrimSuffix(strings.TrimPrefix(reference, "["), "]"), "][")
}

// holder finds the map that has the last name of a reference; with create, missing ones on the way are made.
func (e *Event) holder(reference string, create bool) (map[string]any, string) {
	names := path(reference)
	at := e.Fields
	if names[0] == "@metadata" && len(names) > 1 {
		at, names = e.Metadata, names[1:]
	}
	for _, name := range names[:len(names)-1] {
		next, ok := at[name].(map[string]any)
		if !ok {
			if !create {
				return nil, ""
			}
			next = map[string]any{}
			at[name] = next
		}
		at = next
	}
	return at, names[len(names)-1]
}

// Get is a field's value, and whether it is there.
func (e *Event) Get(reference string) (any, bool) {
	if reference == "@metadata" || reference == "[@metadata]" {
		return e.Metadata, true
	}
	at, name := e.holder(reference, false)
	value, found := at[name]
	return value, found
}

// Set writes a field.
func (e *Event) Set(reference string, value any) {
	at, name := e.holder(reference, true)
	at[name] = value
	if name == Timestamp {
		e.normalise()
	}
}

// Remove takes a field away and returns it.
func (e *Event) Remove(reference string) (any, bool) {
	at, name := e.holder(reference, false)
	value, found := at[name]
	delete(at, name)
	return value, found
}

// Tag adds a tag once.
func (e *Event) Tag(tag string) {
	tags, _ := e.Fields["tags"].([]any)
	for _, each := range tags {
		if each == tag {
			return
		}
	}
	e.Fields["tags"] = append(tags, tag)
}

// Untag takes a tag away.
func (e *Event) Untag(tag string) {
	tags, _ := e.Fields["tags"].([]any)
	kept := []any{}
	for _, each := range tags {
		if each != tag {
			kept = append(kept, each)
		}
	}
	if e.Fields["tags"] != nil {
		e.Fields["tags"] = kept
	}
}

// Document is what outputs write.
func (e *Event) Document() ([]byte, error) { return json.Marshal(plain(e.Fields)) }

// stored is an event in the queue on disk.
type stored struct {
	Fields   map[string]any `json:"f"`
	Metadata map[string]any `json:"m"`
}

// Marshal is the form for the queue.
func (e *Event) Marshal() ([]byte, error) {
	return json.Marshal(map[string]any{"f": plain(e.Fields), "m": plain(e.Metadata)})
}

// Unmarshal reads what Marshal wrote.
func Unmarshal(data []byte) (*Event, error) {
	var s stored
	if err := Decode(data, &s); err != nil {
		return nil, err
	}
	e := New(s.Fields)
	e.Metadata = s.Metadata
	return e, nil
}

// Decode is json.Unmarshal that keeps numbers as they were written.
func Decode(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if decoder.More() {
		return fmt.Errorf("more than one JSON value")
	}
	return nil
}

// plain writes times in the original's form.
func plain(value any) any {
	switch typed := value.(type) {
	case time.Time:
		return typed.UTC().Format(layout)
	case map[string]any:
		copied := make(map[string]any, len(typed))
		for key, inner := range typed {
			copied[key] = plain(inner)
		}
		return copied
	case []any:
		copied := make([]any, len(typed))
		for i, inner := range typed {
			copied[i] = plain(inner)
		}
		return copied
	}
	return value
}
