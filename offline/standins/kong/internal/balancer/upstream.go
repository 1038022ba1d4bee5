// Package balancer chooses the address a request goes to and watches health.
package balancer

import (
	"maps"
	"net"
	"sort"
	"strconv"
	"sync"
	"sync/atomic"

	"nexus/standins/kong/internal/schema"
	"nexus/standins/kong/internal/store"
)

// Upstream is a pool of targets.
type Upstream struct {
	ID, Name   string
	HostHeader string
	entity     store.Entity
	checks     checks
	algorithm  string
	threshold  float64
	resolver   *Resolver
	targets    []*target
	mu         sync.Mutex // guards the round-robin weights and the address lists
	stop       func()     // ends active checks
}

// Entity is the upstream as configured.
func (u *Upstream) Entity() store.Entity { return u.entity }

// target is a host:port with a weight; it stands for one or more addresses.
type target struct {
	name, host string
	port       int
	weight     int
	created    float64
	addresses  map[string]*Address // by IP, kept while the target exists
}

// Address is one place a request can go to.
type Address struct {
	Monitor
	IP, Host string
	Port     int
	weight   int
	current  int // smooth round-robin
	active   atomic.Int64
}

// Key is "ip:port".
func (a *Address) Key() string { return net.JoinHostPort(a.IP, strconv.Itoa(a.Port)) }

// Begin and End count a request in flight.
func (a *Address) Begin() { a.active.Add(1) }

// End is the counterpart of Begin.
func (a *Address) End() { a.active.Add(-1) }

func newUpstream(e store.Entity, entries []store.Entity, resolver *Resolver, old *Upstream) *Upstream {
	u := &Upstream{
		ID: store.ID(e), Name: e["name"].(string), entity: e, resolver: resolver,
		algorithm: e["algorithm"].(string), checks: readChecks(e["healthchecks"].(map[string]any)),
	}
	u.threshold, _ = e["healthchecks"].(map[string]any)["threshold"].(float64)
	u.HostHeader, _ = e["host_header"].(string)
	known := map[string]*target{}
	if old != nil {
		for _, t := range old.targets {
			known[t.name] = t
		}
	}
	for _, entry := range entries {
		a, _ := schema.ParseAddress(entry["target"].(string))
		t := &target{name: entry["target"].(string), host: a.Host, port: a.Port, weight: int(entry["weight"].(float64))}
		t.created, _ = entry["created_at"].(float64)
		t.addresses = map[string]*Address{}
		if before := known[t.name]; before != nil {
			old.mu.Lock()
			t.addresses = maps.Clone(before.addresses) // health and load survive a change of configuration
			old.mu.Unlock()
		}
		u.targets = append(u.targets, t)
	}
	sort.Slice(u.targets, func(i, j int) bool { return u.targets[i].created < u.targets[j].created })
	return u
}

// resolve brings a target's addresses up to date. It may wait for DNS, so it
// is called without the lock.
func (u *Upstream) resolve(t *target) ([]*Address, error) {
	ips, err := u.resolver.Resolve(t.host)
	if err != nil {
		return nil, err
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	out := make([]*Address, 0, len(ips))
	for _, ip := range ips {
		a := t.addresses[ip]
		if a == nil {
			a = &Address{IP: ip, Host: t.host, Port: t.port}
			t.addresses[ip] = a
		}
		a.weight = t.weight
		out = append(out, a)
	}
	if len(t.addresses) > len(out) {
		kept := make(map[string]*Address, len(out))
		for _, a := range out {
			kept[a.IP] = a
		}
		t.addresses = kept
	}
	return out, nil
}

// candidates are all addresses that can take a request.
func (u *Upstream) candidates() []*Address {
	healthy, available, total := []*Address{}, 0, 0
	for _, t := range u.targets {
		if t.weight == 0 {
			continue
		}
		addresses, err := u.resolve(t)
		if err != nil {
			continue
		}
		for _, a := range addresses {
			total += t.weight
			if !u.checks.enabled || a.Healthy() {
				available += t.weight
				healthy = append(healthy, a)
			}
		}
	}
	// Below the threshold the upstream as a whole counts as unhealthy.
	if total > 0 && float64(available)*100/float64(total) < u.threshold {
		return nil
	}
	return healthy
}

// Pick chooses an address for a request, or nil when there is none. The hash
// matters for consistent-hashing only; tried addresses are avoided.
func (u *Upstream) Pick(hash string, tried map[*Address]bool) *Address {
	candidates := u.candidates()
	if rest := without(candidates, tried); len(rest) > 0 {
		candidates = rest
	}
	if len(candidates) == 0 {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	switch u.algorithm {
	case "consistent-hashing":
		return rendezvous(candidates, hash)
	case "least-connections", "latency":
		return leastConnections(candidates)
	}
	return smooth(candidates)
}

func without(all []*Address, tried map[*Address]bool) []*Address {
	if len(tried) == 0 {
		return all
	}
	rest := make([]*Address, 0, len(all))
	for _, a := range all {
		if !tried[a] {
			rest = append(rest, a)
		}
	}
	return rest
}
