package main

import (
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/hashicorp/consul/api"
)

// listen serves /metrics when the configuration asks for it; the function it returns ends that.
func listen(config *Config, monitor *monitor) (func(), error) {
	if config.ClientAddress == "" || !config.Metrics {
		return func() {}, nil
	}
	listener, err := net.Listen("tcp", config.ClientAddress)
	if err != nil {
		return nil, fmt.Errorf("client_address: %w", err)
	}
	routes := http.NewServeMux()
	routes.HandleFunc("GET /metrics", func(answer http.ResponseWriter, _ *http.Request) {
		answer.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		for _, gauge := range monitor.gauges() {
			fmt.Fprintf(answer, "# TYPE %s gauge\n%s %d\n", gauge.name, gauge.name, gauge.value)
		}
	})
	server := &http.Server{Handler: routes, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return func() { _ = server.Close() }, nil
}

type gauge struct {
	name  string
	value int
}

// gauges are the original's, as far as one instance has them.
func (m *monitor) gauges() []gauge {
	all := m.running()
	healthy := 0
	services := map[string]bool{}
	for _, each := range all {
		each.mutex.Lock()
		if each.status == api.HealthPassing {
			healthy++
		}
		each.mutex.Unlock()
		services[each.check.Node+"/"+each.check.ServiceID] = true
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return []gauge{
		{"esm_agent_isLeader", 1},
		{"esm_nodes_monitored", m.nodes},
		{"esm_services_monitored", len(services)},
		{"esm_checks", len(all)},
		{"esm_checks_healthy", healthy},
		{"esm_checks_unhealthy", len(all) - healthy},
	}
}
