package main

import (
	"context"
	"crypto/tls"
	"log/slog"
	"sync"
	"time"

	"github.com/hashicorp/consul/api"
)

const (
	// nodeCheck is the check the monitor itself keeps for a node it pings.
	nodeCheck = "externalNodeHealth"
	// waitTime bounds a blocking query, so that a lost connection is noticed.
	waitTime = 5 * time.Minute
	// reapInterval is how often long-critical services are looked for.
	reapInterval = 30 * time.Second
)

// monitor runs one checker for every check of an external node.
type monitor struct {
	client *api.Client
	config *Config
	tls    *tls.Config
	logger *slog.Logger

	mutex    sync.Mutex
	checkers map[string]*checker
	tasks    sync.WaitGroup
	nodes    int
}

func newMonitor(client *api.Client, config *Config, tlsConfig *tls.Config, logger *slog.Logger) *monitor {
	return &monitor{client: client, config: config, tls: tlsConfig, logger: logger, checkers: map[string]*checker{}}
}

// watch follows the external nodes' checks with blocking queries: a new check runs at once.
func (m *monitor) watch(ctx context.Context) {
	var index uint64
	for ctx.Err() == nil {
		options := &api.QueryOptions{NodeMeta: m.config.NodeMeta, WaitIndex: index, WaitTime: waitTime}
		checks, meta, err := m.client.Health().State(api.HealthAny, options.WithContext(ctx))
		if err != nil {
			if ctx.Err() == nil {
				m.logger.Warn("watching checks failed", "error", err)
				sleep(ctx, retry)
			}
			index = 0
			continue
		}
		if index = meta.LastIndex; index < options.WaitIndex {
			index = 0 // Consul was restored from an older state
		}
		m.follow(ctx, checks)
	}
}

// follow makes the running checkers those of the catalog. A check whose definition changed starts anew.
func (m *monitor) follow(ctx context.Context, checks api.HealthChecks) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	wanted := map[string]bool{}
	for _, check := range checks {
		probe := newProbe(check.Definition, m.tls)
		if check.CheckID == nodeCheck || probe == nil {
			continue
		}
		key := check.Node + "/" + check.ServiceID + "/" + check.CheckID
		wanted[key] = true
		if running, found := m.checkers[key]; found {
			if running.same(check) {
				running.observe(check)
				continue
			}
			running.cancel()
		}
		m.logger.Info("check added", "node", check.Node, "check", check.CheckID)
		started := newChecker(m, check, probe)
		m.checkers[key] = started
		var own context.Context
		own, started.cancel = context.WithCancel(ctx)
		m.tasks.Go(func() { started.run(own) })
	}
	for key, running := range m.checkers {
		if !wanted[key] {
			m.logger.Info("check removed", "check", key)
			running.cancel()
			delete(m.checkers, key)
		}
	}
}

// reap removes services that were critical for longer than their check allows.
func (m *monitor) reap(ctx context.Context) {
	for sleep(ctx, reapInterval) {
		for _, each := range m.running() {
			limit := each.check.Definition.DeregisterCriticalServiceAfterDuration
			since := each.criticalSince()
			if each.check.ServiceID == "" || limit <= 0 || since.IsZero() || time.Since(since) < limit {
				continue
			}
			m.logger.Info("service critical for too long: deregistered", "service", each.check.ServiceID)
			gone := &api.CatalogDeregistration{Node: each.check.Node, ServiceID: each.check.ServiceID}
			if _, err := m.client.Catalog().Deregister(gone, nil); err != nil {
				m.logger.Warn("deregistering failed", "service", each.check.ServiceID, "error", err)
			}
		}
	}
}

func (m *monitor) running() []*checker {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	all := make([]*checker, 0, len(m.checkers))
	for _, each := range m.checkers {
		all = append(all, each)
	}
	return all
}

func (m *monitor) stop() { m.tasks.Wait() }

// write sets a check's status and output in the catalog, if the check is still what was last read (compare and set), so
// that it never brings back what somebody else removed or changed.
func (m *monitor) write(node, id, status, output string) error {
	for range 3 {
		checks, _, err := m.client.Health().Node(node, &api.QueryOptions{RequireConsistent: true})
		if err != nil {
			return err
		}
		var current *api.HealthCheck
		for _, check := range checks {
			if check.CheckID == id {
				current = check
			}
		}
		if current == nil {
			return nil
		}
		current.Status, current.Output = status, output
		operation := &api.CheckTxnOp{Verb: api.CheckCAS, Check: *current}
		done, _, _, err := m.client.Txn().Txn(api.TxnOps{{Check: operation}}, nil)
		if err != nil || done {
			return err
		}
	}
	m.logger.Warn("a check changes faster than it can be written", "node", node, "check", id)
	return nil
}
