package plugin

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestWindowsBeginWhereTheCalendarSays(t *testing.T) {
	now := time.Date(2026, 3, 14, 15, 9, 26, 535, time.FixedZone("ahead", 3600))
	want := map[string]string{
		"second": "2026-03-14T14:09:26Z", "minute": "2026-03-14T14:09:00Z", "hour": "2026-03-14T14:00:00Z",
		"day": "2026-03-14T00:00:00Z", "month": "2026-03-01T00:00:00Z", "year": "2026-01-01T00:00:00Z",
	}
	for _, p := range periods {
		if got := p.start(now).Format(time.RFC3339); got != want[p.name] {
			t.Errorf("%s: %s", p.name, got)
		}
	}
}

func TestLocalCountersForgetWhatIsOver(t *testing.T) {
	counters, now := newLocalCounters(), time.Unix(1000, 0)
	counters.now = func() time.Time { return now }
	limits := []limit{{periods[0], 10}}
	for i := range 3 {
		if used, _ := counters.count([]string{"k"}, limits); used[0] != float64(i) {
			t.Fatalf("%v before request %d", used, i)
		}
	}
	counters.undo([]string{"k"})
	if used, _ := counters.count([]string{"k"}, limits); used[0] != 2 {
		t.Errorf("a refused request was counted: %v", used)
	}
	for i := range 5 * firstSweep {
		now = now.Add(time.Millisecond)
		_, _ = counters.count([]string{fmt.Sprint(i)}, limits)
	}
	if n := len(counters.entries); n > 3*firstSweep {
		t.Errorf("%d counters are kept", n)
	}
	now = now.Add(2 * time.Second)
	if used, _ := counters.count([]string{"k"}, limits); used[0] != 0 {
		t.Errorf("a new window began with %v", used)
	}
}

func TestAFullMemoryGivesUpWhatWasNotUsedForLongest(t *testing.T) {
	kept := newResponses(map[string]int64{"m": 10 << 10})
	response := func() *Cached { return &Cached{Body: strings.Repeat("x", 1<<10), Headers: http.Header{"A": {"b"}}} }
	for i := range 20 {
		kept.put("m", fmt.Sprint(i), response(), time.Minute)
		kept.Get("m", "0")
	}
	if kept.memories["m"].used > 10<<10 {
		t.Errorf("%d bytes are used", kept.memories["m"].used)
	}
	if kept.Get("m", "0") == nil || kept.Get("m", "19") == nil || kept.Get("m", "1") != nil {
		t.Error("another one than the oldest was given up")
	}
	kept.put("m", "brief", response(), -time.Second)
	if kept.Get("", "brief") != nil {
		t.Error("an old response was given")
	}
	kept.Flush("m")
	if kept.Get("", "0") != nil || kept.memories["m"].used != 0 {
		t.Error("something was left")
	}
}

func TestATokenWithoutASignatureOrAKnownAlgorithmIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                                 "invalid JSON",
		"e30.e30":                          "invalid JSON",
		"e30.e30.":                         "invalid alg",
		"eyJhbGciOiJub25lIn0.e30.":         "invalid alg",
		"eyJhbGciOiJIUzI1NiJ9.bnVsbA.eA":   "invalid claims",
		"eyJhbGciOiJIUzI1NiJ9.e30.*":       "invalid JSON",
		"eyJhbGciOiJIUzI1NiJ9.e30.eA":      "",
		"eyJhbGciOlsiSFMyNTYiXX0.e30.eA":   "invalid alg",
		"eyJhbGciOiJIUzI1NiJ9.W10.eA":      "invalid JSON",
		"eyJhbGciOiJIUzI1NiJ9.e30.eA.more": "invalid JSON",
	} {
		if _, problem := parseToken(text); problem != want {
			t.Errorf("%q: %q, want %q", text, problem, want)
		}
	}
	if verifySignature("HS256", "a.b", nil, nil) || verifySignature("RS256", "a.b", nil, []byte("k")) {
		t.Error("a key of another kind was taken")
	}
}
