package config

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Position is a place in the text, from 1.
type Position struct{ Line, Column, Byte int }

// Error says where the text is not what the language wants, in the original's words.
type Error struct {
	At       Position
	Expected string
	After    string
}

func (e *Error) Error() string {
	return fmt.Sprintf("Expected one of %s at line %d, column %d (byte %d) after %s",
		e.Expected, e.At.Line, e.At.Column, e.At.Byte, e.After)
}

// scanner walks over the text; spaces and comments are skipped by skip.
type scanner struct {
	text string
	at   int
}

func (s *scanner) position(offset int) Position {
	before := s.text[:offset]
	line := strings.Count(before, "\n")
	start := strings.LastIndexByte(before, '\n') + 1
	return Position{Line: line + 1, Column: utf8.RuneCountInString(before[start:]) + 1, Byte: offset + 1}
}

// fail shows the last line before the mistake, as a person has to find it.
func (s *scanner) fail(expected ...string) error {
	before := strings.TrimRight(s.text[:s.at], " \t\r\n")
	return &Error{At: s.position(s.at), Expected: strings.Join(expected, ", "), After: before[strings.LastIndexByte(before, '\n')+1:]}
}

func (s *scanner) skip() {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			s.at++
		case c == '#':
			end := strings.IndexByte(s.text[s.at:], '\n')
			if end < 0 {
				s.at = len(s.text)
				return
			}
			s.at += end + 1
		default:
			return
		}
	}
}

func (s *scanner) done() bool { s.skip(); return s.at >= len(s.text) }

func (s *scanner) peek() byte {
	if s.done() {
		return 0
	}
	return s.text[s.at]
}

// take consumes a token if it comes next.
func (s *scanner) take(token string) bool {
	s.skip()
	if !strings.HasPrefix(s.text[s.at:], token) {
		return false
	}
	if end := s.at + len(token); isWord(token[len(token)-1]) && end < len(s.text) && isWord(s.text[end]) {
		return false // "in" is not the beginning of "index"
	}
	s.at += len(token)
	return true
}

func (s *scanner) expect(token string) error {
	if !s.take(token) {
		return s.fail("[ \\t\\r\\n]", `"#"`, fmt.Sprintf("%q", token))
	}
	return nil
}

func isWord(c byte) bool {
	return c == '_' || c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// word reads a bare name.
func (s *scanner) word() string {
	s.skip()
	start := s.at
	for s.at < len(s.text) && isWord(s.text[s.at]) {
		s.at++
	}
	return s.text[start:s.at]
}

// quoted reads up to the closing quote; what a backslash stands before does not close, and stays as it is.
func (s *scanner) quoted(quote byte) (string, error) {
	start := s.at + 1
	for i := start; i < len(s.text); i++ {
		switch s.text[i] {
		case '\\':
			i++
		case quote:
			s.at = i + 1
			return s.text[start:i], nil
		}
	}
	s.at = len(s.text)
	return "", s.fail(fmt.Sprintf("%q", string(quote)))
}
