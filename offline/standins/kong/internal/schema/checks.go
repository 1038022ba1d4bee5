package schema

import (
	"reflect"
	"strings"
)

// AtLeastOneOf wants one of the fields to be non-empty.
func AtLeastOneOf(names ...string) EntityCheck {
	return EntityCheck{"at_least_one_of", func(r map[string]any, errs *Errors) {
		if !anySet(r, names) {
			errs.Add("at least one of these fields must be non-empty: " + Quoted(names...))
		}
	}}
}

// MutuallyRequired wants all or none of the fields.
func MutuallyRequired(names ...string) EntityCheck {
	return EntityCheck{"mutually_required", func(r map[string]any, errs *Errors) {
		count := 0
		for _, n := range names {
			if r[n] != nil {
				count++
			}
		}
		if count != 0 && count != len(names) {
			errs.Add("all or none of these fields must be set: " + Quoted(names...))
		}
	}}
}

// Distinct wants the fields, when set, to differ.
func Distinct(a, b string) EntityCheck {
	return EntityCheck{"distinct", func(r map[string]any, errs *Errors) {
		if r[a] != nil && reflect.DeepEqual(r[a], r[b]) {
			errs.Add("values of these fields must be distinct: " + Quoted(a, b))
		}
	}}
}

// When applies rule to the field then if the field "given" satisfies match.
func When(given string, match func(v any) bool, then string, rule Check) EntityCheck {
	return EntityCheck{"conditional", func(r map[string]any, errs *Errors) {
		if !match(r[given]) {
			return
		}
		if msg := rule(r[then]); msg != "" {
			errs.Set(then, msg)
			errs.Add("failed conditional validation given value of field '" + given + "'")
		}
	}}
}

// Is matches any of the given strings.
func Is(options ...string) func(any) bool {
	return func(v any) bool { s, ok := v.(string); return ok && containsString(options, s) }
}

// IsNot matches any string that is not among the given.
func IsNot(options ...string) func(any) bool {
	return func(v any) bool { s, ok := v.(string); return ok && !containsString(options, s) }
}

// Null is the rule that a value must be absent.
func Null(v any) string {
	if v != nil {
		return "value must be null"
	}
	return ""
}

// Present is the rule that a value must be there.
func Present(v any) string {
	if v == nil {
		return required
	}
	return ""
}

// OneOf is the rule that a value must be among the options.
func OneOf(options ...string) Check {
	return func(v any) string {
		if s, ok := v.(string); ok && !containsString(options, s) {
			return "expected one of: " + strings.Join(options, ", ")
		}
		return ""
	}
}

// Strings turns words into an option list.
func Strings(words ...string) []any {
	out := make([]any, len(words))
	for i, w := range words {
		out[i] = w
	}
	return out
}

// Numbers turns numbers into an option list.
func Numbers(ns ...float64) []any {
	out := make([]any, len(ns))
	for i, n := range ns {
		out[i] = n
	}
	return out
}

// Empty is true for null, and for lists and maps without content.
func Empty(v any) bool { return v == nil || (isContainer(v) && length(v) == 0) }

func isContainer(v any) bool {
	switch v.(type) {
	case []any, map[string]any:
		return true
	}
	return false
}

func anySet(r map[string]any, names []string) bool {
	for _, n := range names {
		if !Empty(r[n]) {
			return true
		}
	}
	return false
}

// AnySet is true when one of the fields is non-empty.
func AnySet(r map[string]any, names ...string) bool { return anySet(r, names) }
