package plugin

import (
	"fmt"
	"io"
	"sort"
	"strings"
	"sync"
)

// Buckets of the latencies, in milliseconds, as the original has them.
var (
	gatewayBuckets  = []float64{1, 2, 5, 7, 10, 15, 20, 30, 50, 75, 100, 200, 500, 750, 1000, 3000, 6000}
	upstreamBuckets = []float64{25, 50, 80, 100, 250, 400, 700, 1000, 2000, 5000, 10000, 30000, 60000}
)

// Metrics is what the prometheus plugin has counted so far.
type Metrics struct {
	mu                                               sync.Mutex
	families                                         []*family
	requests, bandwidth, gateway, upstream, duration *family
	targets                                          bool // upstream health was asked for
}

// family is one metric with all its labels.
type family struct {
	name, help, kind string
	labels           []string
	buckets          []float64
	series           map[string]*series
}

type series struct {
	values []string
	value  float64 // of a counter; the sum of a histogram
	counts []uint64
	total  uint64
}

func newMetrics() *Metrics {
	m := &Metrics{}
	where := []string{"service", "route", "workspace"}
	m.requests = m.add("kong_http_requests_total", "HTTP status codes per consumer/service/route in Kong", "counter", nil,
		"service", "route", "code", "source", "workspace", "consumer")
	m.gateway = m.add("kong_kong_latency_ms", "Latency added by Kong and enabled plugins for each service/route in Kong",
		"histogram", gatewayBuckets, where...)
	m.upstream = m.add("kong_upstream_latency_ms", "Latency added by upstream response for each service/route in Kong",
		"histogram", upstreamBuckets, where...)
	m.duration = m.add("kong_request_latency_ms", "Total latency incurred during requests for each service/route in Kong",
		"histogram", upstreamBuckets, where...)
	m.bandwidth = m.add("kong_bandwidth_bytes", "Total bandwidth (ingress/egress) throughput in bytes", "counter", nil,
		"service", "route", "direction", "workspace", "consumer")
	return m
}

func (m *Metrics) add(name, help, kind string, buckets []float64, labels ...string) *family {
	f := &family{name, help, kind, labels, buckets, map[string]*series{}}
	m.families = append(m.families, f)
	return f
}

func (f *family) with(values ...string) *series {
	key := strings.Join(values, "\xff")
	s := f.series[key]
	if s == nil {
		s = &series{values: values, counts: make([]uint64, len(f.buckets))}
		f.series[key] = s
	}
	return s
}

func (f *family) observe(v float64, values ...string) {
	s := f.with(values...)
	s.value += v
	s.total++
	for i, bound := range f.buckets {
		if v <= bound {
			s.counts[i]++
		}
	}
}

// Targets tells whether upstream health is to be shown.
func (m *Metrics) Targets() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.targets
}

// Write puts everything out in Prometheus' text format.
func (m *Metrics) Write(w io.Writer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, f := range m.families {
		if len(f.series) == 0 {
			continue
		}
		Head(w, f.name, f.help, f.kind)
		keys := make([]string, 0, len(f.series))
		for key := range f.series {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		for _, key := range keys {
			f.write(w, f.series[key])
		}
	}
}

func (f *family) write(w io.Writer, s *series) {
	if f.kind == "counter" {
		Sample(w, f.name, s.value, pairs(f.labels, s.values)...)
		return
	}
	for i, bound := range f.buckets {
		Sample(w, f.name+"_bucket", float64(s.counts[i]), append(pairs(f.labels, s.values), "le", decimal(bound))...)
	}
	Sample(w, f.name+"_bucket", float64(s.total), append(pairs(f.labels, s.values), "le", "+Inf")...)
	Sample(w, f.name+"_count", float64(s.total), pairs(f.labels, s.values)...)
	Sample(w, f.name+"_sum", s.value, pairs(f.labels, s.values)...)
}

func pairs(names, values []string) []string {
	out := make([]string, 0, 2*len(names)+2)
	for i, name := range names {
		out = append(out, name, values[i])
	}
	return out
}

// Head starts a metric.
func Head(w io.Writer, name, help, kind string) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

var escapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// Sample writes one value with its labels, given as names and values in turn.
func Sample(w io.Writer, name string, value float64, labels ...string) {
	parts := make([]string, 0, len(labels)/2)
	for i := 0; i+1 < len(labels); i += 2 {
		parts = append(parts, labels[i]+`="`+escapes.Replace(labels[i+1])+`"`)
	}
	if len(parts) > 0 {
		name += "{" + strings.Join(parts, ",") + "}"
	}
	fmt.Fprintf(w, "%s %s\n", name, decimal(value))
}
