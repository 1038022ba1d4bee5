package schema

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"math"
	"time"
)

// NewUUID makes a random (version 4) UUID.
func NewUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails on the supported systems
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// NewToken makes a random 32 character secret.
func NewToken() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// ExpandShorthands replaces input-only keys in place.
func (s *Schema) ExpandShorthands(record map[string]any, errs *Errors) {
	for _, short := range s.Shorthands {
		value, given := record[short.Name]
		if !given {
			continue
		}
		if !short.Keep {
			delete(record, short.Name)
			if value == nil {
				continue
			}
		}
		expanded, problem := short.Expand(value)
		if problem != "" {
			errs.Set(short.Name, problem)
			continue
		}
		for k, v := range expanded {
			record[k] = v
		}
	}
}

// Fill adds defaults, automatic values and nulls for everything absent.
func (s *Schema) Fill(record map[string]any, now time.Time) {
	fields, _ := s.FieldsOf(record)
	fillRecord(fields, record)
	for i := range fields {
		f := &fields[i]
		switch {
		case f.Timestamp != "" && (record[f.Name] == nil || f.Name == "updated_at"):
			record[f.Name] = Stamp(f.Timestamp, now)
		case f.Auto && record[f.Name] == nil && f.UUID:
			record[f.Name] = NewUUID()
		case f.Auto && record[f.Name] == nil && f.Type == String:
			record[f.Name] = NewToken()
		}
	}
}

// Stamp is a Unix time in seconds: whole ("s") or with milliseconds ("ms").
func Stamp(unit string, now time.Time) float64 {
	if unit == "ms" {
		return math.Round(float64(now.UnixMilli())) / 1000
	}
	return float64(now.Unix())
}

func fillRecord(fields []Field, record map[string]any) {
	for i := range fields {
		f := &fields[i]
		v := record[f.Name]
		if v == nil && !f.Transient {
			v = Clone(f.Default)
			if v == nil && f.Type == Record {
				v = map[string]any{}
			}
			record[f.Name] = v
		}
		fillValue(f, v)
		if f.Type == Set {
			if items, ok := v.([]any); ok {
				record[f.Name] = unique(items)
			}
		}
	}
}

func fillValue(f *Field, v any) {
	switch f.Type {
	case Record:
		if m, ok := v.(map[string]any); ok {
			fillRecord(f.Fields, m)
		}
	case Array, Set:
		if items, ok := v.([]any); ok && f.Elements.Type == Record {
			for _, item := range items {
				fillValue(f.Elements, item)
			}
		}
	}
}

func unique(items []any) []any {
	out := make([]any, 0, len(items))
	for _, item := range items {
		if !contains(out, item) {
			out = append(out, item)
		}
	}
	return out
}

// Merge lays change over base: records merge, everything else is replaced.
func (s *Schema) Merge(base, change map[string]any) map[string]any {
	merged := Clone(base).(map[string]any)
	fields, _ := s.FieldsOf(base)
	mergeRecord(fields, merged, change)
	return merged
}

func mergeRecord(fields []Field, into, change map[string]any) {
	for k, v := range change {
		f := find(fields, k)
		nested, isMap := v.(map[string]any)
		current, had := into[k].(map[string]any)
		if f != nil && f.Type == Record && isMap && had {
			mergeRecord(f.Fields, current, nested)
			continue
		}
		into[k] = v
	}
}

// Clone copies maps and lists deeply.
func Clone(v any) any {
	switch t := v.(type) {
	case map[string]any:
		out := make(map[string]any, len(t))
		for k, item := range t {
			out[k] = Clone(item)
		}
		return out
	case []any:
		out := make([]any, len(t))
		for i, item := range t {
			out[i] = Clone(item)
		}
		return out
	}
	return v
}
