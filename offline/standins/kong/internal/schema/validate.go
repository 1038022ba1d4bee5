package schema

import (
	"fmt"
	"math"
	"regexp"
	"strings"
)

const (
	required = "required field missing"
	unknown  = "unknown field"
)

var uuidPattern = regexp.MustCompile(`^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$`)

// IsUUID tells an id from a name in a path.
func IsUUID(s string) bool { return uuidPattern.MatchString(s) }

// Validate checks a complete record (defaults filled in) against its schema.
func (s *Schema) Validate(record map[string]any) Errors {
	fields, errs := s.FieldsOf(record)
	if !errs.Empty() {
		return errs
	}
	errs = validateRecord(fields, record)
	runChecks(s.Checks, record, &errs)
	if s.SpecialChecks != nil {
		runChecks(s.SpecialChecks(record), record, &errs)
	}
	return errs
}

func runChecks(checks []EntityCheck, record map[string]any, errs *Errors) {
	// A check that builds on broken values would only repeat the field's error.
	if len(errs.Fields) > 0 {
		return
	}
	for _, c := range checks {
		c.Run(record, errs)
	}
}

func validateRecord(fields []Field, record map[string]any) Errors {
	errs := Errors{}
	for name := range record {
		if find(fields, name) == nil {
			errs.Set(name, unknown)
		}
	}
	for i := range fields {
		errs.Set(fields[i].Name, fields[i].validate(record[fields[i].Name]))
	}
	return errs
}

// validate returns nil, a message, or nested errors.
func (f *Field) validate(v any) any {
	if v == nil {
		if f.Required {
			return required
		}
		return nil
	}
	if f.NullError != "" {
		return f.NullError
	}
	if err := f.validateType(v); err != nil {
		return err
	}
	if len(f.OneOf) > 0 && !contains(f.OneOf, v) {
		return "expected one of: " + list(f.OneOf)
	}
	if f.Between != nil {
		if n := v.(float64); n < f.Between.Min || n > f.Between.Max {
			return fmt.Sprintf("value should be between %s and %s", number(f.Between.Min), number(f.Between.Max))
		}
	}
	if f.Positive && v.(float64) <= 0 {
		return "value must be greater than 0"
	}
	if f.UUID && !IsUUID(v.(string)) {
		return "expected a valid UUID"
	}
	if f.LenMin > 0 && length(v) < f.LenMin {
		return fmt.Sprintf("length must be at least %d", f.LenMin)
	}
	if f.Check != nil {
		if msg := f.Check(v); msg != "" {
			return msg
		}
	}
	return nil
}

func (f *Field) validateType(v any) any {
	switch f.Type {
	case String:
		s, ok := v.(string)
		if !ok {
			return "expected a string"
		}
		if s == "" && f.LenMin == 0 {
			return "length must be at least 1"
		}
	case Boolean:
		if _, ok := v.(bool); !ok {
			return "expected a boolean"
		}
	case Integer:
		if n, ok := v.(float64); !ok || n != math.Trunc(n) {
			return "expected an integer"
		}
	case Number:
		if _, ok := v.(float64); !ok {
			return "expected a number"
		}
	case Array, Set:
		return f.validateList(v)
	case Map:
		return f.validateMap(v)
	case Record:
		m, ok := v.(map[string]any)
		if !ok {
			return "expected a record"
		}
		errs := validateRecord(f.Fields, m)
		runChecks(f.Checks, m, &errs)
		return orNil(errs.Map())
	case Foreign:
		m, ok := v.(map[string]any)
		if !ok {
			return "expected a record"
		}
		if id, ok := m["id"]; ok {
			if s, ok := id.(string); !ok || !IsUUID(s) {
				return map[string]any{"id": "expected a valid UUID"}
			}
		}
	}
	return nil
}

func (f *Field) validateList(v any) any {
	items, ok := v.([]any)
	if !ok {
		if f.Type == Set {
			return "expected a set"
		}
		return "expected an array"
	}
	var errs []any
	for i, item := range items {
		err := f.Elements.validate(item)
		if item == nil {
			err = "expected a " + string(f.Elements.Type)
		}
		if err != nil {
			for len(errs) < i {
				errs = append(errs, nil)
			}
			errs = append(errs, err)
		}
	}
	if errs != nil {
		return errs
	}
	return f.validateExclusive(items)
}

func (f *Field) validateExclusive(items []any) any {
	first := -1
	for _, item := range items {
		for g, group := range f.Exclusive {
			if s, _ := item.(string); !containsString(group, s) {
				continue
			}
			if first >= 0 && g != first {
				sets := make([]string, 0, len(f.Exclusive))
				for _, words := range f.Exclusive {
					sets = append(sets, "("+Quoted(words...)+")")
				}
				return "these sets are mutually exclusive: " + strings.Join(sets, ", ")
			}
			first = g
		}
	}
	return nil
}

func (f *Field) validateMap(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return "expected a map"
	}
	errs := map[string]any{}
	for k, item := range m {
		err := f.Keys.validate(k)
		if err == nil {
			err = f.Values.validate(item)
		}
		if err != nil {
			errs[k] = err
		}
	}
	return orNil(errs)
}
