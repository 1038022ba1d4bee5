package config

import "strings"

// condition is comparisons joined by and, or, xor, nand; `and` binds closest.
func (s *scanner) condition() (Condition, error) {
	left, err := s.conjunction()
	for err == nil {
		operator := s.oneOf("or", "xor", "nand")
		if operator == "" {
			return left, nil
		}
		var right Condition
		right, err = s.conjunction()
		left = Binary{operator, left, right}
	}
	return nil, err
}

func (s *scanner) conjunction() (Condition, error) {
	left, err := s.term()
	for err == nil && s.take("and") {
		var right Condition
		right, err = s.term()
		left = Binary{"and", left, right}
	}
	return left, err
}

func (s *scanner) term() (Condition, error) {
	if s.take("!") {
		of, err := s.term()
		return Not{of}, err
	}
	if s.take("(") {
		inner, err := s.condition()
		if err != nil {
			return nil, err
		}
		return inner, s.expect(")")
	}
	left, err := s.operand()
	if err != nil {
		return nil, err
	}
	operator := s.oneOf("==", "!=", "<=", ">=", "<", ">", "=~", "!~", "in")
	if operator == "" && s.take("not") {
		if err := s.expect("in"); err != nil {
			return nil, err
		}
		operator = "not in"
	}
	if operator == "" {
		return Truth{left}, nil
	}
	right, err := s.operand()
	if err == nil && strings.HasSuffix(operator, "~") {
		if text, ok := right.(string); ok {
			right = Regexp(text)
		} else if _, ok := right.(Regexp); !ok {
			return nil, s.fail(`"/"`, `'"'`, `"'"`)
		}
	}
	return Compare{operator, left, right}, err
}

func (s *scanner) oneOf(tokens ...string) string {
	for _, token := range tokens {
		if s.take(token) {
			return token
		}
	}
	return ""
}

// operand is a field, a text, a number, a regular expression or a list; `[a]` is a field, `["a"]` and `[1]` are lists.
func (s *scanner) operand() (Operand, error) {
	switch c := s.peek(); {
	case c == '"' || c == '\'':
		return s.quoted(c)
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case c == '/':
		text, err := s.quoted('/')
		return Regexp(strings.ReplaceAll(text, `\/`, "/")), err
	case c == '[':
		return s.selectorOrList()
	}
	return nil, s.fail("[ \\t\\r\\n]", `"#"`, `"if"`, `"["`, `'"'`, `"'"`, `"/"`, "[0-9]", `"!"`, `"("`)
}

func (s *scanner) selectorOrList() (Operand, error) {
	inner := strings.TrimLeft(s.text[s.at+1:], " \t\r\n")
	if inner != "" && strings.IndexByte(`"'-0123456789`, inner[0]) >= 0 {
		values, err := s.array()
		list := make([]Operand, len(values))
		for i, value := range values {
			list[i] = value
		}
		return list, err
	}
	start := s.at
	for s.at < len(s.text) && s.text[s.at] == '[' {
		end := strings.IndexAny(s.text[s.at:], "]\n")
		if end < 2 || s.text[s.at+end] != ']' {
			return nil, s.fail(`a field such as [name] or [outer][inner]`)
		}
		s.at += end + 1
	}
	return Selector(s.text[start:s.at]), nil
}
