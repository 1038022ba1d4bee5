package config

import (
	"strconv"
	"strings"
)

// Parse reads a configuration; the error is an *Error with the line.
func Parse(text string) (*Pipeline, error) {
	s := &scanner{text: text}
	pipeline := &Pipeline{}
	for !s.done() {
		var into *[]Statement
		switch {
		case s.take("input"):
			into = &pipeline.Input
		case s.take("filter"):
			into = &pipeline.Filter
		case s.take("output"):
			into = &pipeline.Output
		default:
			return nil, s.fail("[ \\t\\r\\n]", `"#"`, `"input"`, `"filter"`, `"output"`)
		}
		body, err := s.body()
		if err != nil {
			return nil, err
		}
		*into = append(*into, body...)
	}
	return pipeline, nil
}

// body is `{ statement ... }`.
func (s *scanner) body() ([]Statement, error) {
	if err := s.expect("{"); err != nil {
		return nil, err
	}
	var body []Statement
	for !s.take("}") {
		statement, err := s.statement()
		if err != nil {
			return nil, err
		}
		body = append(body, statement)
	}
	return body, nil
}

func (s *scanner) statement() (Statement, error) {
	if s.take("if") {
		return s.branch()
	}
	return s.plugin()
}

func (s *scanner) branch() (*Branch, error) {
	branch := &Branch{}
	for {
		condition, err := s.condition()
		if err != nil {
			return nil, err
		}
		body, err := s.body()
		if err != nil {
			return nil, err
		}
		branch.Cases = append(branch.Cases, Case{condition, body})
		if !s.take("else") {
			return branch, nil
		}
		if s.take("if") {
			continue
		}
		body, err = s.body()
		if err != nil {
			return nil, err
		}
		branch.Cases = append(branch.Cases, Case{nil, body})
		return branch, nil
	}
}

func (s *scanner) plugin() (*Plugin, error) {
	s.skip()
	at := s.position(s.at)
	name, err := s.name()
	if err != nil {
		return nil, err
	}
	if err := s.expect("{"); err != nil {
		return nil, err
	}
	settings, err := s.pairs()
	return &Plugin{Name: name, Settings: settings, At: at}, err
}

// pairs is `key => value ... }`.
func (s *scanner) pairs() ([]Pair, error) {
	var pairs []Pair
	for !s.take("}") {
		s.skip()
		at := s.position(s.at)
		key, err := s.name()
		if err != nil {
			return nil, err
		}
		if err := s.expect("=>"); err != nil {
			return nil, err
		}
		value, err := s.value()
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, Pair{key, value, at})
	}
	return pairs, nil
}

func (s *scanner) name() (string, error) {
	if c := s.peek(); c == '"' || c == '\'' {
		return s.quoted(c)
	}
	if name := s.word(); name != "" {
		return name, nil
	}
	return "", s.fail("[ \\t\\r\\n]", `"#"`, "[A-Za-z0-9_-]", `'"'`, `"'"`, `"}"`)
}

func (s *scanner) value() (any, error) {
	switch c := s.peek(); {
	case c == '"' || c == '\'':
		return s.quoted(c)
	case c == '[':
		return s.array()
	case c == '{':
		s.at++
		return s.pairs()
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	}
	word := s.word()
	switch {
	case word == "":
		return nil, s.fail("[ \\t\\r\\n]", `"#"`, "[A-Za-z0-9_-]", `'"'`, `"'"`, "[-]", "[0-9]", `"["`, `"{"`)
	case word == "true" || word == "false":
		return word == "true", nil
	}
	if s.peek() == '{' {
		at := s.position(s.at)
		s.at++
		settings, err := s.pairs()
		return &Plugin{Name: word, Settings: settings, At: at}, err
	}
	return Name(word), nil
}

func (s *scanner) number() (any, error) {
	start := s.at
	for s.at < len(s.text) && strings.IndexByte("-.0123456789", s.text[s.at]) >= 0 {
		s.at++
	}
	number, err := strconv.ParseFloat(s.text[start:s.at], 64)
	if err != nil {
		s.at = start
		return nil, s.fail("[-]", "[0-9]")
	}
	return number, nil
}

func (s *scanner) array() ([]any, error) {
	s.at++
	list := []any{}
	for !s.take("]") {
		if len(list) > 0 {
			if err := s.expect(","); err != nil {
				return nil, err
			}
		}
		value, err := s.value()
		if err != nil {
			return nil, err
		}
		list = append(list, value)
	}
	return list, nil
}
