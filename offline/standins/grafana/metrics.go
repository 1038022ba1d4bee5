package main

import (
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// Metrics are those of the original that its dashboards use, by the same names and labels, and the process' own.
type Metrics struct {
	registry *prometheus.Registry
	requests *prometheus.HistogramVec
	asked    *prometheus.CounterVec
}

func newMetrics(dashboards func() int) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "grafana_http_request_duration_seconds", Help: "Histogram of latencies for HTTP requests.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 25, 60}, // the original's
		}, []string{"handler", "method", "status_code"}),
		asked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "grafana_datasource_request_total", Help: "A counter for outgoing requests for a data source",
		}, []string{"datasource", "code", "method"}),
	}
	about := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "grafana_build_info", Help: "A metric with a constant '1' value labeled by version and edition",
		ConstLabels: prometheus.Labels{"version": version, "edition": "stand-in", "goversion": buildVersion()},
	})
	about.Set(1)
	total := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "grafana_stat_totals_dashboard", Help: "total amount of dashboards",
	}, func() float64 { return float64(dashboards()) })
	m.registry.MustRegister(m.requests, m.asked, about, total, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func buildVersion() string {
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return ""
	}
	return info.GoVersion
}

// status remembers how a request was answered.
type status struct {
	http.ResponseWriter
	code int
}

func (s *status) WriteHeader(code int) {
	if s.code == 0 {
		s.code = code
	}
	s.ResponseWriter.WriteHeader(code)
}

// Unwrap lets a proxied answer be flushed.
func (s *status) Unwrap() http.ResponseWriter { return s.ResponseWriter }

func (s *status) text() string { return strconv.Itoa(max(s.code, http.StatusOK)) }

// observed measures every request; the handler is the route's pattern, so that no caller can make new series.
func (m *Metrics) observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		began, kept := time.Now(), &status{ResponseWriter: answer}
		next.ServeHTTP(kept, request)
		m.requests.WithLabelValues(request.Pattern, method(request.Method), kept.text()).Observe(time.Since(began).Seconds())
	})
}

// through counts what a data source was asked.
func (m *Metrics) through(source string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		kept := &status{ResponseWriter: answer}
		next.ServeHTTP(kept, request)
		m.asked.WithLabelValues(source, kept.text(), method(request.Method)).Inc()
	})
}

func method(name string) string {
	switch name {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete:
		return name
	}
	return "other"
}
