package router

import (
	"net/http"
	"regexp"
	"strconv"
	"strings"
)

type hostRule struct {
	exact, prefix, suffix string
	port                  int
}

type headerRule struct {
	name   string
	values map[string]bool
	regex  []*regexp.Regexp
}

func newHostRule(text string) hostRule {
	text = strings.ToLower(text)
	rule := hostRule{}
	if host, port, ok := strings.Cut(text, ":"); ok && !strings.Contains(port, ":") {
		rule.port, _ = strconv.Atoi(port)
		text = host
	}
	switch {
	case strings.HasPrefix(text, "*"):
		rule.suffix = text[1:]
	case strings.HasSuffix(text, "*"):
		rule.prefix = text[:len(text)-1]
	default:
		rule.exact = text
	}
	return rule
}

func anyHost(rules []hostRule, host string, port int) bool {
	for _, rule := range rules {
		if rule.port != 0 && rule.port != port {
			continue
		}
		switch {
		case rule.exact != "" && rule.exact == host,
			rule.suffix != "" && strings.HasSuffix(host, rule.suffix),
			rule.prefix != "" && strings.HasPrefix(host, rule.prefix):
			return true
		}
	}
	return false
}

func newHeaderRules(v any) []headerRule {
	m, _ := v.(map[string]any)
	var rules []headerRule
	for name, values := range m {
		rule := headerRule{name: name, values: map[string]bool{}}
		for _, value := range words(values) {
			value = strings.ToLower(value)
			if expr, isRegex := strings.CutPrefix(value, "~*"); isRegex {
				if compiled, err := regexp.Compile(expr); err == nil {
					rule.regex = append(rule.regex, compiled)
				}
				continue
			}
			rule.values[value] = true
		}
		rules = append(rules, rule)
	}
	return rules
}

func (rule *headerRule) match(header http.Header) bool {
	for _, value := range header.Values(rule.name) {
		value = strings.ToLower(value)
		if rule.values[value] {
			return true
		}
		for _, expr := range rule.regex {
			if expr.MatchString(value) {
				return true
			}
		}
	}
	return false
}

func words(v any) []string {
	items, _ := v.([]any)
	out := make([]string, 0, len(items))
	for _, item := range items {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}
