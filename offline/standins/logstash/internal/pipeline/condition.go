package pipeline

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"nexus/standins/logstash/internal/config"
	"nexus/standins/logstash/internal/event"
)

type test func(*event.Event) bool

// compile makes a test of a condition; regular expressions are compiled here, so that a wrong one stops the start.
func compile(condition config.Condition) (test, error) {
	switch c := condition.(type) {
	case config.Not:
		inner, err := compile(c.Of)
		return func(e *event.Event) bool { return !inner(e) }, err
	case config.Binary:
		left, err := compile(c.Left)
		if err != nil {
			return nil, err
		}
		right, err := compile(c.Right)
		return map[string]test{
			"and":  func(e *event.Event) bool { return left(e) && right(e) },
			"or":   func(e *event.Event) bool { return left(e) || right(e) },
			"xor":  func(e *event.Event) bool { return left(e) != right(e) },
			"nand": func(e *event.Event) bool { return !(left(e) && right(e)) },
		}[c.Operator], err
	case config.Truth:
		return func(e *event.Event) bool { v := evaluate(e, c.Of); return v != nil && v != false }, nil
	case config.Compare:
		return comparison(c)
	}
	return nil, fmt.Errorf("a condition of an unknown kind")
}

func comparison(c config.Compare) (test, error) {
	if pattern, ok := c.Right.(config.Regexp); ok {
		compiled, err := regexp.Compile(string(pattern))
		if err != nil {
			return nil, fmt.Errorf("/%s/ is not a regular expression: %w", pattern, err)
		}
		want := c.Operator == "=~"
		return func(e *event.Event) bool {
			left := evaluate(e, c.Left)
			return (left != nil && compiled.MatchString(event.Text(left))) == want
		}, nil
	}
	compare := operators[c.Operator]
	return func(e *event.Event) bool { return compare(evaluate(e, c.Left), evaluate(e, c.Right)) }, nil
}

var operators = map[string]func(left, right any) bool{
	"==":     equal,
	"!=":     func(left, right any) bool { return !equal(left, right) },
	"<":      func(left, right any) bool { order, ok := ordered(left, right); return ok && order < 0 },
	"<=":     func(left, right any) bool { order, ok := ordered(left, right); return ok && order <= 0 },
	">":      func(left, right any) bool { order, ok := ordered(left, right); return ok && order > 0 },
	">=":     func(left, right any) bool { order, ok := ordered(left, right); return ok && order >= 0 },
	"in":     contains,
	"not in": func(left, right any) bool { return !contains(left, right) },
}

func evaluate(e *event.Event, operand config.Operand) any {
	switch o := operand.(type) {
	case config.Selector:
		value, _ := e.Get(string(o))
		return value
	case string:
		return e.Format(o)
	case []config.Operand:
		list := make([]any, len(o))
		for i, each := range o {
			list[i] = evaluate(e, each)
		}
		return list
	}
	return operand
}

func number(value any) (float64, bool) {
	switch typed := value.(type) {
	case float64:
		return typed, true
	case int64:
		return float64(typed), true
	case int:
		return float64(typed), true
	case json.Number:
		parsed, err := strconv.ParseFloat(string(typed), 64)
		return parsed, err == nil
	}
	return 0, false
}

func equal(left, right any) bool {
	order, ok := ordered(left, right)
	if ok {
		return order == 0
	}
	return left == nil && right == nil || left != nil && right != nil && fmt.Sprint(left) == fmt.Sprint(right) && sameKind(left, right)
}

func sameKind(left, right any) bool {
	_, leftIsNumber := number(left)
	_, rightIsNumber := number(right)
	return leftIsNumber == rightIsNumber
}

// ordered compares numbers with numbers and texts with texts; anything else has no order.
func ordered(left, right any) (int, bool) {
	a, aIsNumber := number(left)
	b, bIsNumber := number(right)
	if aIsNumber && bIsNumber {
		switch {
		case a < b:
			return -1, true
		case a > b:
			return 1, true
		}
		return 0, true
	}
	x, xIsText := left.(string)
	y, yIsText := right.(string)
	return strings.Compare(x, y), xIsText && yIsText
}

// contains: an element of a list, a key of a hash, or a part of a text.
func contains(item, in any) bool {
	switch whole := in.(type) {
	case []any:
		for _, each := range whole {
			if equal(item, each) {
				return true
			}
		}
	case map[string]any:
		_, there := whole[event.Text(item)]
		return there
	case string:
		part, isText := item.(string)
		return isText && strings.Contains(whole, part)
	}
	return false
}
