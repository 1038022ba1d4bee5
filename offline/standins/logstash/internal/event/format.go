package event

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

var reference = regexp.MustCompile(`%\{([^}]+)\}`)

// Format fills in `%{field}`, `%{[a][b]}` and `%{+YYYY.MM.dd}` (the event's time in UTC); what is not there stays.
func (e *Event) Format(template string) string {
	if !strings.Contains(template, "%{") {
		return template
	}
	return reference.ReplaceAllStringFunc(template, func(found string) string {
		inner := found[2 : len(found)-1]
		if pattern, isDate := strings.CutPrefix(inner, "+"); isDate {
			if pattern == "%s" {
				return fmt.Sprint(e.Time().Unix())
			}
			return e.Time().UTC().Format(Layout(pattern))
		}
		value, there := e.Get(inner)
		if !there {
			return found
		}
		return Text(value)
	})
}

// Text is a value as it appears in a text.
func Text(value any) string {
	switch typed := value.(type) {
	case nil:
		return ""
	case string:
		return typed
	case time.Time, map[string]any:
		text, _ := json.Marshal(plain(value))
		return strings.Trim(string(text), `"`)
	case []any:
		parts := make([]string, len(typed))
		for i, each := range typed {
			parts[i] = Text(each)
		}
		return strings.Join(parts, ",")
	}
	return fmt.Sprint(value)
}

// joda are the letters of Joda's date patterns, longest first, and what Go calls them.
var joda = []struct{ from, to string }{
	{"YYYY", "2006"}, {"yyyy", "2006"}, {"xxxx", "2006"}, {"yy", "06"}, {"YY", "06"},
	{"MMMM", "January"}, {"MMM", "Jan"}, {"MM", "01"}, {"M", "1"},
	{"dd", "02"}, {"d", "2"}, {"DDD", "002"}, {"EEEE", "Monday"}, {"EEE", "Mon"}, {"E", "Mon"},
	{"HH", "15"}, {"H", "15"}, {"hh", "03"}, {"h", "3"}, {"mm", "04"}, {"m", "4"}, {"ss", "05"}, {"s", "5"},
	{"SSSSSSSSS", "000000000"}, {"SSSSSS", "000000"}, {"SSS", "000"}, {"SS", "00"}, {"S", "0"},
	{"a", "PM"}, {"ZZZ", "MST"}, {"ZZ", "-07:00"}, {"Z", "-0700"}, {"z", "MST"},
}

// Layout is a Joda pattern in Go's form.
func Layout(pattern string) string {
	var layout strings.Builder
next:
	for pattern != "" {
		if pattern[0] == '\'' { // quoted text; two quotes are one
			end := strings.IndexByte(pattern[1:], '\'')
			if end == 0 {
				layout.WriteByte('\'')
			}
			if end < 0 {
				return layout.String() + pattern[1:]
			}
			layout.WriteString(pattern[1 : 1+end])
			pattern = pattern[end+2:]
			continue
		}
		for _, letters := range joda {
			if strings.HasPrefix(pattern, letters.from) {
				layout.WriteString(letters.to)
				pattern = pattern[len(letters.from):]
				continue next
			}
		}
		layout.WriteByte(pattern[0])
		pattern = pattern[1:]
	}
	return layout.String()
}

var variable = regexp.MustCompile(`\$\{(\w+)(?::([^}]*))?\}`)

// Environment fills in `${NAME}` and `${NAME:default}`; a name without value and default is an error.
func Environment(text string) (string, error) {
	var missing error
	filled := variable.ReplaceAllStringFunc(text, func(found string) string {
		parts := variable.FindStringSubmatch(found)
		if value, ok := os.LookupEnv(parts[1]); ok {
			return value
		}
		if strings.Contains(found, ":") {
			return parts[2]
		}
		missing = fmt.Errorf("cannot evaluate `%s`: environment variable %s is not set and there is no default value given", found, parts[1])
		return found
	})
	return filled, missing
}
