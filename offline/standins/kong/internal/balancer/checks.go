package balancer

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"time"
)

// checks is an upstream's health check configuration.
type checks struct {
	enabled  bool // any check is on: health decides who gets requests
	active   probe
	passive  rules
	https    bool
	path     string
	sni      string
	verify   bool
	headers  map[string]any
	timeout  time.Duration
	parallel int
}

// probe is when active checks run, by the state of the address.
type probe struct {
	rules
	healthy, unhealthy time.Duration
}

// rules turn a status into an outcome and outcomes into a change of state.
type rules struct {
	limits    Thresholds
	good, bad map[int]bool
}

// status reports an HTTP status.
func (r *rules) status(m *Monitor, code int) bool {
	switch {
	case r.good[code]:
		return m.Report(Success, r.limits)
	case r.bad[code]:
		return m.Report(HTTPFailure, r.limits)
	}
	return false
}

func readChecks(h map[string]any) checks {
	active, passive := h["active"].(map[string]any), h["passive"].(map[string]any)
	c := checks{passive: readRules(passive), https: active["type"] == "https", verify: active["https_verify_certificate"] == true}
	c.path, _ = active["http_path"].(string)
	c.sni, _ = active["https_sni"].(string)
	c.headers, _ = active["headers"].(map[string]any)
	c.timeout = seconds(active["timeout"])
	parallel, _ := active["concurrency"].(float64)
	c.parallel = int(parallel)
	c.active.rules = readRules(active)
	if kind := active["type"]; kind == "http" || kind == "https" { // others are for stream routes
		c.active.healthy = seconds(active["healthy"].(map[string]any)["interval"])
		c.active.unhealthy = seconds(active["unhealthy"].(map[string]any)["interval"])
	}
	l := c.passive.limits
	c.enabled = seconds(active["healthy"].(map[string]any)["interval"]) > 0 ||
		seconds(active["unhealthy"].(map[string]any)["interval"]) > 0 || l[TCPFailure]+l[Timeout]+l[HTTPFailure] > 0
	return c
}

func readRules(m map[string]any) rules {
	healthy, unhealthy := m["healthy"].(map[string]any), m["unhealthy"].(map[string]any)
	count := func(v any) int { n, _ := v.(float64); return int(n) }
	set := func(v any) map[int]bool {
		items, _ := v.([]any)
		out := map[int]bool{}
		for _, item := range items {
			out[count(item)] = true
		}
		return out
	}
	return rules{
		limits: Thresholds{
			Success: count(healthy["successes"]), TCPFailure: count(unhealthy["tcp_failures"]),
			Timeout: count(unhealthy["timeouts"]), HTTPFailure: count(unhealthy["http_failures"]),
		},
		good: set(healthy["http_statuses"]), bad: set(unhealthy["http_statuses"]),
	}
}

func seconds(v any) time.Duration {
	n, _ := v.(float64)
	return time.Duration(n * float64(time.Second))
}

// watch probes the upstream's addresses until ctx ends.
func (u *Upstream) watch(ctx context.Context, changed func(a *Address, healthy bool)) {
	c := &u.checks
	tick := c.active.healthy
	if tick == 0 || (c.active.unhealthy > 0 && c.active.unhealthy < tick) {
		tick = c.active.unhealthy
	}
	client := u.probeClient()
	defer client.CloseIdleConnections()
	slots := make(chan struct{}, max(c.parallel, 1))
	last := map[*Address]time.Time{}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		now := time.Now()
		for _, a := range u.due(now, last, tick/2) {
			slots <- struct{}{}
			go func() {
				defer func() { <-slots }()
				if u.probe(ctx, client, a) {
					changed(a, a.Healthy())
				}
			}()
		}
		timer.Reset(tick)
	}
}

// due lists the addresses whose interval has passed; slack absorbs jitter.
func (u *Upstream) due(now time.Time, last map[*Address]time.Time, slack time.Duration) []*Address {
	out, next := []*Address{}, map[*Address]time.Time{}
	for _, t := range u.targets {
		if t.weight == 0 {
			continue
		}
		addresses, err := u.resolve(t)
		if err != nil {
			continue
		}
		for _, a := range addresses {
			interval := u.checks.active.healthy
			if !a.Healthy() {
				interval = u.checks.active.unhealthy
			}
			next[a] = last[a]
			if interval > 0 && now.Sub(last[a]) >= interval-slack {
				next[a] = now
				out = append(out, a)
			}
		}
	}
	clear(last)
	for a, at := range next {
		last[a] = at
	}
	return out
}

func (u *Upstream) probeClient() *http.Client {
	transport := &http.Transport{
		DisableKeepAlives: true,
		DialContext:       (&net.Dialer{Timeout: u.checks.timeout}).DialContext,
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: !u.checks.verify, ServerName: u.checks.sni}, //nolint:gosec // configured
	}
	return &http.Client{
		Transport: transport, Timeout: u.checks.timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (u *Upstream) probe(ctx context.Context, client *http.Client, a *Address) (changed bool) {
	scheme := "http://"
	if u.checks.https {
		scheme = "https://"
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+a.Key()+u.checks.path, nil)
	if err != nil {
		return false
	}
	r.Host = a.Host
	if u.HostHeader != "" {
		r.Host = u.HostHeader
	}
	r.Header.Set("User-Agent", "kong-healthcheck")
	for name, values := range u.checks.headers {
		items, _ := values.([]any)
		for _, value := range items {
			r.Header.Add(name, value.(string))
		}
	}
	response, err := client.Do(r)
	switch {
	case ctx.Err() != nil:
		return false
	case err == nil:
		_ = response.Body.Close()
		return u.checks.active.status(&a.Monitor, response.StatusCode)
	case isTimeout(err):
		return a.Report(Timeout, u.checks.active.limits)
	}
	u.resolver.Forget(a.Host)
	return a.Report(TCPFailure, u.checks.active.limits)
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}
