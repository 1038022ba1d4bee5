package schema

import (
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

func orNil(m map[string]any) any {
	if len(m) == 0 {
		return nil
	}
	return m
}

func length(v any) int {
	switch t := v.(type) {
	case string:
		return len(t)
	case []any:
		return len(t)
	case map[string]any:
		return len(t)
	}
	return 0
}

func contains(options []any, v any) bool {
	for _, o := range options {
		if reflect.DeepEqual(o, v) {
			return true
		}
	}
	return false
}

func containsString(options []string, s string) bool {
	for _, o := range options {
		if o == s {
			return true
		}
	}
	return false
}

func list(options []any) string {
	words := make([]string, 0, len(options))
	for _, o := range options {
		if n, ok := o.(float64); ok {
			words = append(words, number(n))
		} else {
			words = append(words, fmt.Sprint(o))
		}
	}
	return strings.Join(words, ", ")
}

func number(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
