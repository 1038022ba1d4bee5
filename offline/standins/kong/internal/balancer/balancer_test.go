package balancer

import (
	"context"
	"errors"
	"net"
	"strconv"
	"testing"
	"time"
)

func pool(algorithm string, weights ...int) *Upstream {
	u := &Upstream{Name: "u", algorithm: algorithm, resolver: NewResolver()}
	for i, w := range weights {
		u.targets = append(u.targets, &target{
			name: "t" + strconv.Itoa(i), host: "10.0.0." + strconv.Itoa(i+1), port: 80, weight: w, addresses: map[string]*Address{},
		})
	}
	return u
}

func share(u *Upstream, n int, hash func(i int) string) map[string]int {
	counts := map[string]int{}
	for i := range n {
		if a := u.Pick(hash(i), nil); a != nil {
			counts[a.IP]++
		}
	}
	return counts
}

func none(int) string { return "" }

func TestRoundRobinFollowsWeightsExactly(t *testing.T) {
	got := share(pool("round-robin", 50, 30, 20, 0), 100, none)
	if got["10.0.0.1"] != 50 || got["10.0.0.2"] != 30 || got["10.0.0.3"] != 20 || got["10.0.0.4"] != 0 {
		t.Errorf("distribution %v", got)
	}
}

func TestRoundRobinDoesNotBurst(t *testing.T) {
	u, last, longest, run := pool("round-robin", 100, 100), "", 0, 0
	for range 20 {
		a := u.Pick("", nil)
		if a.IP == last {
			run++
		} else {
			last, run = a.IP, 1
		}
		longest = max(longest, run)
	}
	if longest != 1 {
		t.Errorf("the same address %d times in a row", longest)
	}
}

func TestLeastConnectionsAvoidsTheBusy(t *testing.T) {
	u := pool("least-connections", 100, 100)
	busy := u.Pick("", nil)
	busy.Begin()
	for range 10 {
		if u.Pick("", nil) == busy {
			t.Fatal("the busy address was chosen")
		}
	}
	busy.End()
}

func TestHashingIsStableAndMovesOnlyWhatItMust(t *testing.T) {
	key := func(i int) string { return "user-" + strconv.Itoa(i) }
	u := pool("consistent-hashing", 100, 100, 100)
	before := map[int]string{}
	for i := range 600 {
		before[i] = u.Pick(key(i), nil).IP
		if u.Pick(key(i), nil).IP != before[i] {
			t.Fatal("not stable")
		}
	}
	u.targets = u.targets[:2]
	for i := range 600 {
		if now := u.Pick(key(i), nil).IP; before[i] != "10.0.0.3" && now != before[i] {
			t.Fatalf("key %d moved from %s to %s", i, before[i], now)
		}
	}
	heavy := share(pool("consistent-hashing", 300, 100), 4000, key)
	if n := heavy["10.0.0.1"]; n < 2800 || n > 3200 {
		t.Errorf("weight 3:1 gave %v", heavy)
	}
}

func TestUnhealthyAndTriedAddressesAreAvoided(t *testing.T) {
	u := pool("round-robin", 100, 100)
	u.checks.enabled = true
	first := u.Pick("", nil)
	if second := u.Pick("", map[*Address]bool{first: true}); second == first {
		t.Error("a tried address was chosen while another was left")
	}
	first.Force(false)
	if got := share(u, 10, none); got[first.IP] != 0 {
		t.Errorf("an unhealthy address got requests: %v", got)
	}
	for _, a := range u.candidates() {
		a.Force(false)
	}
	if u.Pick("", nil) != nil {
		t.Error("an address was chosen though all are unhealthy")
	}
}

func TestBelowTheThresholdTheUpstreamGivesNothing(t *testing.T) {
	u := pool("round-robin", 100, 100)
	u.checks.enabled, u.threshold = true, 60
	u.candidates()[0].Force(false)
	if u.Pick("", nil) != nil {
		t.Error("half of the weight is available, 60 % were asked for")
	}
}

func TestHealthChangesAtTheThresholds(t *testing.T) {
	limits := Thresholds{Success: 2, HTTPFailure: 3, TCPFailure: 1}
	m := &Monitor{}
	steps := []struct {
		outcome Outcome
		healthy bool
	}{
		{HTTPFailure, true}, {HTTPFailure, true}, {Success, true}, // a success clears the count
		{HTTPFailure, true}, {HTTPFailure, true}, {HTTPFailure, false},
		{Success, false}, {HTTPFailure, false}, {Success, false}, // a failure clears it the other way
		{Success, true},
		{Timeout, true}, // not counted: its threshold is 0
		{TCPFailure, false},
	}
	for i, step := range steps {
		m.Report(step.outcome, limits)
		if m.Healthy() != step.healthy {
			t.Fatalf("step %d: healthy = %v", i, m.Healthy())
		}
	}
}

func TestDifferentFailuresAreCountedApart(t *testing.T) {
	m := &Monitor{}
	limits := Thresholds{HTTPFailure: 2, TCPFailure: 2}
	m.Report(HTTPFailure, limits)
	if m.Report(TCPFailure, limits) || !m.Healthy() {
		t.Error("one failure of each kind made two of one")
	}
}

func TestNamesAreAskedAgainAfterAFailure(t *testing.T) {
	asked, answers := 0, []string{"10.1.0.1"}
	r := NewResolver()
	r.ask = func(context.Context, string) ([]string, error) { asked++; return answers, nil }
	for range 3 {
		if ips, err := r.Resolve("web"); err != nil || ips[0] != "10.1.0.1" {
			t.Fatal(ips, err)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times within the cache time", asked)
	}
	answers = []string{"10.1.0.2", "fe80::1"}
	r.Forget("web")
	if ips, _ := r.Resolve("web"); len(ips) != 1 || ips[0] != "10.1.0.2" {
		t.Errorf("after Forget: %v", ips)
	}
}

func TestKnownAddressesSurviveASilentNameServer(t *testing.T) {
	r := NewResolver()
	fail := error(nil)
	r.ask = func(context.Context, string) ([]string, error) { return []string{"10.1.0.1"}, fail }
	_, _ = r.Resolve("web")
	fail = errors.New("timeout")
	r.Forget("web")
	if ips, err := r.Resolve("web"); err != nil || len(ips) != 1 {
		t.Error(ips, err)
	}
	fail = &net.DNSError{IsNotFound: true}
	r.Forget("web")
	if _, err := r.Resolve("web"); err == nil {
		t.Error("a name that is gone still resolves")
	}
	time.Sleep(time.Millisecond)
}
