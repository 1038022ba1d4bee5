package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/hashicorp/consul/api"
)

// As in the original: a monitor that is silent for ttl is critical, and forgotten after deregisterAfter.
const (
	ttl             = 30 * time.Second
	deregisterAfter = 30 * time.Minute
)

// member is this monitor as a service in Consul.
type member struct {
	client *api.Client
	config *Config
	logger *slog.Logger
}

func (m *member) id() string    { return m.config.Service + ":" + m.config.InstanceID }
func (m *member) check() string { return m.id() + ":agent-ttl" }

func (m *member) register() error {
	service := &api.AgentServiceRegistration{
		ID:   m.id(),
		Name: m.config.Service,
		Meta: map[string]string{"external-source": "consul-esm"},
		Check: &api.AgentServiceCheck{
			CheckID:                        m.check(),
			Name:                           "Consul External Service Monitor Alive",
			TTL:                            ttl.String(),
			Status:                         api.HealthPassing,
			DeregisterCriticalServiceAfter: deregisterAfter.String(),
		},
	}
	if m.config.Tag != "" {
		service.Tags = []string{m.config.Tag}
	}
	if err := m.client.Agent().ServiceRegister(service); err != nil {
		return fmt.Errorf("Consul did not register %s: %w", m.id(), err)
	}
	return nil
}

// heartbeat says twice in ttl that this monitor lives; an agent that lost its state is told anew.
func (m *member) heartbeat(ctx context.Context) {
	for sleep(ctx, ttl/2) {
		if err := m.client.Agent().UpdateTTL(m.check(), "", api.HealthPassing); err == nil {
			continue
		}
		if err := m.register(); err != nil {
			m.logger.Warn("heartbeat failed", "error", err)
		}
	}
}

func (m *member) deregister() error {
	if err := m.client.Agent().ServiceDeregister(m.id()); err != nil {
		m.logger.Warn("could not sign off", "error", err)
	}
	return nil
}
