package kql

import "strings"

type kind int

const (
	end kind = iota
	word
	phrase
	opening
	closing
	colon
	comparison
)

type token struct {
	kind     kind
	text     string
	wild     bool // a word with a wildcard that is not escaped
	position int
}

// scan splits a text; the last token is the end.
func scan(text string) []token {
	var tokens []token
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case c == '(' || c == ')' || c == ':':
			tokens = append(tokens, token{kind: map[byte]kind{'(': opening, ')': closing, ':': colon}[c], text: string(c), position: i})
			i++
		case c == '<' || c == '>':
			length := 1
			if strings.HasPrefix(text[i+1:], "=") {
				length = 2
			}
			tokens = append(tokens, token{kind: comparison, text: text[i : i+length], position: i})
			i += length
		case c == '"':
			value, size := quoted(text[i+1:])
			tokens = append(tokens, token{kind: phrase, text: value, position: i})
			i += size + 1
		default:
			value, wild, size := bare(text[i:])
			tokens = append(tokens, token{kind: word, text: value, wild: wild, position: i})
			i += size
		}
	}
	return append(tokens, token{kind: end, position: len(text)})
}

func quoted(text string) (string, int) {
	var value strings.Builder
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '\\' && i+1 < len(text):
			i++
			value.WriteByte(text[i])
		case text[i] == '"':
			return value.String(), i + 1
		default:
			value.WriteByte(text[i])
		}
	}
	return value.String(), len(text)
}

func bare(text string) (string, bool, int) {
	var value strings.Builder
	wild := false
	i := 0
	for ; i < len(text) && !strings.ContainsRune(" \t\r\n():<>\"", rune(text[i])); i++ {
		if text[i] == '\\' && i+1 < len(text) {
			i++
		} else if text[i] == '*' {
			wild = true
		}
		value.WriteByte(text[i])
	}
	return value.String(), wild, i
}
