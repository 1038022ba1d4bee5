package main

import (
	"context"
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func ask(t *testing.T, definition api.HealthCheckDefinition) (string, string) {
	t.Helper()
	probe := newProbe(definition, &tls.Config{MinVersion: tls.VersionTLS12})
	if probe == nil {
		t.Fatal("no probe for", definition)
	}
	return probe(context.Background())
}

func TestStatusFollowsTheHTTPCode(t *testing.T) {
	for code, want := range map[int]string{200: "passing", 204: "passing", 429: "warning", 404: "critical", 503: "critical"} {
		server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) { answer.WriteHeader(code) }))
		status, output := ask(t, api.HealthCheckDefinition{HTTP: server.URL})
		if status != want || !strings.Contains(output, http.StatusText(code)) {
			t.Errorf("%d: %s, %q", code, status, output)
		}
		server.Close()
	}
}

func TestMethodHeaderHostAndBodyAreSent(t *testing.T) {
	var seen *http.Request
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		seen = request
		body, _ = io.ReadAll(request.Body)
	}))
	defer server.Close()
	ask(t, api.HealthCheckDefinition{
		HTTP: server.URL + "/x", Method: "PUT", Body: "hello",
		Header: map[string][]string{"X-One": {"1", "2"}, "host": {"named.example"}},
	})
	if seen.Method != "PUT" || string(body) != "hello" || len(seen.Header["X-One"]) != 2 || seen.Host != "named.example" {
		t.Errorf("%s %q %v %s", seen.Method, body, seen.Header, seen.Host)
	}
}

func TestOutputIsBounded(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(answer, strings.Repeat("x", 10*outputLimit))
	}))
	defer server.Close()
	if _, output := ask(t, api.HealthCheckDefinition{HTTP: server.URL}); len(output) > outputLimit+200 {
		t.Error(len(output))
	}
}

func TestASlowServerIsCriticalAfterTheTimeout(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer server.Close()
	defer close(release)
	began := time.Now()
	status, _ := ask(t, api.HealthCheckDefinition{HTTP: server.URL, TimeoutDuration: 50 * time.Millisecond})
	if status != api.HealthCritical || time.Since(began) > 5*time.Second {
		t.Error(status, time.Since(began))
	}
}

func TestACertificateNobodySignedIsCriticalUnlessTheCheckSkipsIt(t *testing.T) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	defer server.Close()
	if status, output := ask(t, api.HealthCheckDefinition{HTTP: server.URL}); status != api.HealthCritical {
		t.Error(status, output)
	}
	if status, output := ask(t, api.HealthCheckDefinition{HTTP: server.URL, TLSSkipVerify: true}); status != api.HealthPassing {
		t.Error(status, output)
	}
}

func TestTCPNeedsAListener(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if status, output := ask(t, api.HealthCheckDefinition{TCP: address}); status != api.HealthPassing {
		t.Error(status, output)
	}
	_ = listener.Close()
	if status, _ := ask(t, api.HealthCheckDefinition{TCP: address}); status != api.HealthCritical {
		t.Error(status)
	}
}

func TestADefinitionWithoutAProbeIsLeftAlone(t *testing.T) {
	if newProbe(api.HealthCheckDefinition{}, &tls.Config{}) != nil {
		t.Error("a probe for nothing")
	}
}

// The example of the original's documentation: passing, threshold 3, and results that partly cancel each other.
func TestThresholdsCountAgainstAndBack(t *testing.T) {
	config := defaults()
	config.Critical = 3
	check := &api.HealthCheck{Status: api.HealthPassing}
	checker := newChecker(newMonitor(nil, config, nil, quiet()), check, nil)
	results := []string{"passing", "critical", "critical", "passing", "critical", "critical", "passing", "critical", "critical"}
	for place, status := range results {
		if written := checker.settled(status, ""); written != (place == len(results)-1) {
			t.Errorf("result %d: written %v", place, written)
		}
	}
}

func TestAnOutputThatKeepsChangingIsWrittenRarely(t *testing.T) {
	checker := newChecker(newMonitor(nil, defaults(), nil, quiet()), &api.HealthCheck{Status: "passing"}, nil)
	if !checker.settled("passing", "first") {
		t.Error("the first output is not written")
	}
	checker.output, checker.written = "first", time.Now()
	if checker.settled("passing", "second") {
		t.Error("written again at once")
	}
	checker.written = time.Now().Add(-outputEvery)
	if !checker.settled("passing", "second") {
		t.Error("never written again")
	}
}

func TestAnIntervalBelowTheMinimumIsRaisedAndNoneIsTheDefault(t *testing.T) {
	for given, want := range map[time.Duration]time.Duration{0: defaultInterval, time.Millisecond: minimumInterval, 7 * time.Second: 7 * time.Second} {
		check := &api.HealthCheck{Definition: api.HealthCheckDefinition{IntervalDuration: given}}
		if got := newChecker(nil, check, nil).interval; got != want {
			t.Errorf("%s: %s", given, got)
		}
	}
}
