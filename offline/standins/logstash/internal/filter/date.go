package filter

import (
	"math"
	"strconv"
	"time"

	"nexus/standins/logstash/internal/event"
	"nexus/standins/logstash/internal/plugin"
)

// iso8601 are the forms that the pattern ISO8601 takes.
var iso8601 = []string{
	"2006-01-02T15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999", "2006-01-02T15:04Z07:00", "2006-01-02T15:04",
	"2006-01-02",
}

// date sets a time from a field's text, by the first pattern that fits.
func date(s *plugin.Settings) func(*event.Event) bool {
	match := s.List("match")
	target := s.String("target", event.Timestamp)
	zoneName := s.String("timezone", "UTC")
	s.String("locale", "en")
	tags := failureTags(s, "_dateparsefailure")
	zone, err := time.LoadLocation(zoneName)
	if err != nil {
		s.Fail("timezone", "is not known: %s", zoneName)
	}
	if len(match) < 2 {
		s.Fail("match", "should contain first a field name and at least one date pattern, current value is %v", match)
		match = []string{""}
	}
	parsers := make([]func(string) (time.Time, bool), 0, len(match))
	for _, pattern := range match[1:] {
		parsers = append(parsers, parser(pattern, zone))
	}
	return func(e *event.Event) bool {
		there, found := e.Get(match[0])
		if !found {
			return false
		}
		for _, parse := range parsers {
			if stamp, ok := parse(event.Text(there)); ok {
				e.Set(target, stamp.UTC())
				return true
			}
		}
		tag(e, tags)
		return false
	}
}

func parser(pattern string, zone *time.Location) func(string) (time.Time, bool) {
	switch pattern {
	case "ISO8601":
		return func(text string) (time.Time, bool) { return firstOf(iso8601, text, zone) }
	case "UNIX":
		return func(text string) (time.Time, bool) { return fromNumber(text, 1) }
	case "UNIX_MS":
		return func(text string) (time.Time, bool) { return fromNumber(text, 1000) }
	}
	layouts := []string{event.Layout(pattern)}
	return func(text string) (time.Time, bool) {
		stamp, ok := firstOf(layouts, text, zone)
		if ok && stamp.Year() == 0 { // a pattern without a year, such as syslog's, means this one
			stamp = stamp.AddDate(time.Now().In(zone).Year(), 0, 0)
		}
		return stamp, ok
	}
}

func firstOf(layouts []string, text string, zone *time.Location) (time.Time, bool) {
	for _, layout := range layouts {
		if stamp, err := time.ParseInLocation(layout, text, zone); err == nil {
			return stamp, true
		}
	}
	return time.Time{}, false
}

func fromNumber(text string, perSecond float64) (time.Time, bool) {
	number, err := strconv.ParseFloat(text, 64)
	if err != nil || math.IsNaN(number) || math.IsInf(number, 0) {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(math.Round(number / perSecond * 1000))), true
}
