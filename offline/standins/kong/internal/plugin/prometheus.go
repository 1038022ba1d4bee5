package plugin

import (
	"strconv"

	"nexus/standins/kong/internal/schema"
)

const workspace = "default"

func prometheus(shared *Shared) Definition {
	option := func(name string) schema.Field { return schema.Field{Name: name, Type: schema.Boolean, Default: false} }
	return Definition{
		Name: "prometheus", Version: "3.9.1", Priority: 13,
		Config: []schema.Field{
			option("per_consumer"), option("status_code_metrics"), option("ai_metrics"), option("latency_metrics"),
			option("bandwidth_metrics"), option("upstream_health_metrics"),
		},
		New: func(config map[string]any) any {
			return &exporter{
				Metrics: shared.Metrics, consumer: flag(config, "per_consumer"), status: flag(config, "status_code_metrics"),
				latency: flag(config, "latency_metrics"), bandwidth: flag(config, "bandwidth_metrics"),
				health: flag(config, "upstream_health_metrics"),
			}
		},
	}
}

type exporter struct {
	*Metrics
	consumer, status, latency, bandwidth, health bool
}

// Bind shows upstream health from the start, and not only after the first request.
func (p *exporter) Bind(map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.targets = p.targets || p.health
}

func (p *exporter) Log(x *Exchange) {
	if x.Route == nil {
		return
	}
	service, route, consumer := named(x.Service, "name", "host"), named(x.Route, "name", "id"), ""
	if p.consumer {
		consumer = named(x.Consumer, "username")
	}
	from := "kong"
	if x.Proxied {
		from = "service"
	}
	o := x.Outcome
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bandwidth {
		p.Metrics.bandwidth.with(service, route, "ingress", workspace, consumer).value += float64(requestSize(x.Request))
		p.Metrics.bandwidth.with(service, route, "egress", workspace, consumer).value += float64(o.Sent)
	}
	if p.status {
		p.requests.with(service, route, strconv.Itoa(o.Status), from, workspace, consumer).value++
	}
	if !p.latency {
		return
	}
	p.duration.observe(o.Duration, service, route, workspace)
	if o.Upstream >= 0 {
		p.upstream.observe(o.Upstream, service, route, workspace)
	}
	p.gateway.observe(o.Kong, service, route, workspace)
}

func named(e map[string]any, names ...string) string {
	for _, name := range names {
		if text, ok := e[name].(string); ok {
			return text
		}
	}
	return ""
}
