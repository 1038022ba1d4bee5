// Package kql turns Kibana's query language into an Elasticsearch query.
package kql

import (
	"fmt"
	"strings"
)

// Query is a part of an Elasticsearch request.
type Query = map[string]any

// Parse makes a query of a text such as `level:error and not (service:a or service:b) and took > 5`; an empty text is
// everything.
func Parse(text string) (Query, error) {
	p := &parser{tokens: scan(text)}
	if p.peek().kind == end {
		return Query{"match_all": Query{}}, nil
	}
	query, err := p.or("")
	if err == nil && p.peek().kind != end {
		err = p.fail("the end of the query")
	}
	return query, err
}

type parser struct {
	tokens []token
	at     int
}

func (p *parser) peek() token { return p.tokens[p.at] }

func (p *parser) next() token {
	t := p.tokens[p.at]
	if t.kind != end {
		p.at++
	}
	return t
}

func (p *parser) fail(expected string) error {
	t := p.peek()
	found := fmt.Sprintf("%q", t.text)
	if t.kind == end {
		found = "end of input"
	}
	return fmt.Errorf("Expected %s but %s found at position %d", expected, found, t.position+1)
}

func (p *parser) keyword(name string) bool {
	if t := p.peek(); t.kind == word && strings.EqualFold(t.text, name) {
		p.at++
		return true
	}
	return false
}

// or joins alternatives; field is set inside `field:( ... )`.
func (p *parser) or(field string) (Query, error) {
	return p.joined(field, "or", p.and, func(parts []Query) Query {
		return Query{"bool": Query{"should": parts, "minimum_should_match": 1}}
	})
}

func (p *parser) and(field string) (Query, error) {
	return p.joined(field, "and", p.not, func(parts []Query) Query { return Query{"bool": Query{"filter": parts}} })
}

func (p *parser) joined(field, between string, part func(string) (Query, error), join func([]Query) Query) (Query, error) {
	var parts []Query
	for {
		one, err := part(field)
		if err != nil {
			return nil, err
		}
		parts = append(parts, one)
		if !p.keyword(between) {
			break
		}
	}
	if len(parts) == 1 {
		return parts[0], nil
	}
	return join(parts), nil
}

func (p *parser) not(field string) (Query, error) {
	if p.keyword("not") {
		inner, err := p.not(field)
		return Query{"bool": Query{"must_not": []Query{inner}}}, err
	}
	return p.term(field)
}

func (p *parser) group(field string) (Query, error) {
	inner, err := p.or(field)
	if err == nil && p.next().kind != closing {
		p.at = max(0, p.at-1)
		err = p.fail(`")"`)
	}
	return inner, err
}

// term is a group, `field:value`, `field: ( ... )`, `field > value`, or a value for all fields.
func (p *parser) term(field string) (Query, error) {
	if p.peek().kind == opening {
		p.at++
		return p.group(field)
	}
	t := p.peek()
	if t.kind != word && t.kind != phrase {
		return nil, p.fail(`"(", NOT, a field name or a value`)
	}
	p.at++
	if field != "" {
		return match(field, t, p.more()), nil
	}
	switch operator := p.peek(); operator.kind {
	case colon:
		p.at++
		if p.peek().kind == opening {
			p.at++
			return p.group(t.text)
		}
		return p.value(t.text)
	case comparison:
		p.at++
		bound := p.next()
		if bound.kind != word && bound.kind != phrase {
			p.at = max(0, p.at-1)
			return nil, p.fail("a value")
		}
		name := map[string]string{">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}[operator.text]
		return Query{"range": Query{t.text: Query{name: bound.text}}}, nil
	}
	return everywhere(t, p.more()), nil
}

func (p *parser) value(field string) (Query, error) {
	t := p.peek()
	if t.kind != word && t.kind != phrase {
		return nil, p.fail(`"(" or a value`)
	}
	p.at++
	return match(field, t, p.more()), nil
}

// more are further words of an unquoted value: `message:two words`.
func (p *parser) more() []string {
	var words []string
	for p.peek().kind == word && !isKeyword(p.peek().text) && p.tokens[p.at+1].kind != colon && p.tokens[p.at+1].kind != comparison {
		words = append(words, p.next().text)
	}
	return words
}

func isKeyword(text string) bool {
	return strings.EqualFold(text, "and") || strings.EqualFold(text, "or") || strings.EqualFold(text, "not")
}

func match(field string, t token, more []string) Query {
	text := strings.Join(append([]string{t.text}, more...), " ")
	switch {
	case t.kind == phrase:
		return Query{"match_phrase": Query{field: t.text}}
	case text == "*":
		return Query{"exists": Query{"field": field}}
	case t.wild || strings.Contains(field, "*"):
		return Query{"query_string": Query{"fields": []string{field}, "query": escape(text), "analyze_wildcard": true, "lenient": true}}
	}
	return Query{"match": Query{field: text}}
}

func everywhere(t token, more []string) Query {
	text := strings.Join(append([]string{t.text}, more...), " ")
	switch {
	case t.kind == phrase:
		return Query{"multi_match": Query{"query": t.text, "type": "phrase", "lenient": true}}
	case text == "*":
		return Query{"match_all": Query{}}
	case t.wild:
		return Query{"query_string": Query{"query": escape(text), "analyze_wildcard": true, "lenient": true}}
	}
	return Query{"multi_match": Query{"query": text, "type": "best_fields", "lenient": true}}
}

// escape leaves the wildcard as the only sign of the query string language that means something.
func escape(text string) string {
	var escaped strings.Builder
	for _, c := range text {
		if strings.ContainsRune(`+-=&|><!(){}[]^"~?:\/ `, c) {
			escaped.WriteByte('\\')
		}
		escaped.WriteRune(c)
	}
	return escaped.String()
}
