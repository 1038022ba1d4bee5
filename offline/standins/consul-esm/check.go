package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
)

const (
	// Consul's own defaults and limits for checks.
	defaultInterval = 30 * time.Second
	minimumInterval = time.Second
	defaultTimeout  = 10 * time.Second
	outputLimit     = 4096
	// outputEvery bounds writes of an output that changes while the status does not (a body with a clock in it).
	outputEvery = 5 * time.Minute
)

// probe asks once and gives status and output.
type probe func(context.Context) (status, output string)

// newProbe makes the probe of a definition; nil when it has neither HTTP nor TCP.
func newProbe(definition api.HealthCheckDefinition, base *tls.Config) probe {
	timeout := definition.TimeoutDuration
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	switch {
	case definition.HTTP != "":
		return httpProbe(definition, base, timeout)
	case definition.TCP != "":
		return tcpProbe(definition.TCP, timeout)
	}
	return nil
}

func httpProbe(definition api.HealthCheckDefinition, base *tls.Config, timeout time.Duration) probe {
	config := base.Clone()
	config.InsecureSkipVerify, config.ServerName = definition.TLSSkipVerify, definition.TLSServerName
	client := &http.Client{
		Timeout:   timeout,
		Transport: &http.Transport{TLSClientConfig: config, DisableKeepAlives: true},
	}
	method := definition.Method
	if method == "" {
		method = http.MethodGet
	}
	return func(ctx context.Context) (string, string) {
		request, err := http.NewRequestWithContext(ctx, method, definition.HTTP, strings.NewReader(definition.Body))
		if err != nil {
			return api.HealthCritical, err.Error()
		}
		request.Header.Set("User-Agent", "Consul Health Check")
		request.Header.Set("Accept", "text/plain, text/*, */*")
		for name, values := range definition.Header {
			request.Header[http.CanonicalHeaderKey(name)] = values
		}
		if host := request.Header.Get("Host"); host != "" {
			request.Host = host
		}
		answer, err := client.Do(request)
		if err != nil {
			return api.HealthCritical, err.Error()
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(io.LimitReader(answer.Body, outputLimit))
		output := fmt.Sprintf("HTTP %s %s: %s Output: %s", method, definition.HTTP, answer.Status, body)
		return httpStatus(answer.StatusCode), output
	}
}

// httpStatus is Consul's rule.
func httpStatus(code int) string {
	switch {
	case code >= 200 && code <= 299:
		return api.HealthPassing
	case code == http.StatusTooManyRequests:
		return api.HealthWarning
	}
	return api.HealthCritical
}

func tcpProbe(address string, timeout time.Duration) probe {
	dialer := &net.Dialer{Timeout: timeout}
	return func(ctx context.Context) (string, string) {
		connection, err := dialer.DialContext(ctx, "tcp", address)
		if err != nil {
			return api.HealthCritical, err.Error()
		}
		_ = connection.Close()
		return api.HealthPassing, fmt.Sprintf("TCP connect %s: Success", address)
	}
}

// checker runs one check at its interval and writes its changes.
type checker struct {
	monitor    *monitor
	check      *api.HealthCheck
	definition []byte
	probe      probe
	interval   time.Duration
	cancel     context.CancelFunc

	mutex    sync.Mutex
	status   string
	output   string
	written  time.Time
	critical time.Time
	against  int
}

func newChecker(m *monitor, check *api.HealthCheck, probe probe) *checker {
	interval := check.Definition.IntervalDuration
	if interval <= 0 {
		interval = defaultInterval
	}
	definition, _ := json.Marshal(check.Definition)
	return &checker{
		monitor: m, check: check, definition: definition, probe: probe, interval: max(interval, minimumInterval),
		status: check.Status, output: check.Output,
	}
}

func (c *checker) same(check *api.HealthCheck) bool {
	definition, _ := json.Marshal(check.Definition)
	return bytes.Equal(definition, c.definition)
}

// observe takes over what the catalog says: somebody may have registered the check again, with another status.
func (c *checker) observe(check *api.HealthCheck) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.status, c.output = check.Status, check.Output
}

func (c *checker) criticalSince() time.Time {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.critical
}

// run asks at once, then at the interval from a random moment on, so that many checks do not ask together for ever.
func (c *checker) run(ctx context.Context) {
	c.once(ctx)
	if !sleep(ctx, rand.N(c.interval)) {
		return
	}
	for c.once(ctx); sleep(ctx, c.interval); c.once(ctx) {
	}
}

func (c *checker) once(ctx context.Context) {
	status, output := c.probe(ctx)
	if ctx.Err() != nil || !c.settled(status, output) {
		return
	}
	if err := c.monitor.write(c.check.Node, c.check.CheckID, status, output); err != nil {
		c.monitor.logger.Warn("writing a check failed", "check", c.check.CheckID, "error", err)
		return
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.status, c.output, c.written = status, output, time.Now()
}

// settled says whether a result is to be written: a change of status counts once more results speak for it than the
// threshold; results for the old status take one away.
func (c *checker) settled(status, output string) bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if status != api.HealthCritical {
		c.critical = time.Time{}
	} else if c.critical.IsZero() {
		c.critical = time.Now()
	}
	if status == c.status {
		c.against = max(0, c.against-1)
		return output != c.output && time.Since(c.written) >= outputEvery
	}
	threshold := c.monitor.config.Passing
	if status == api.HealthCritical {
		threshold = c.monitor.config.Critical
	}
	if c.against < threshold {
		c.against++
		return false
	}
	c.against = 0
	return true
}
