package balancer

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"

	"nexus/standins/kong/internal/schema"
	"nexus/standins/kong/internal/store"
)

// Pools is all upstreams.
type Pools struct {
	Resolver *Resolver
	mu       sync.Mutex
	byName   atomic.Pointer[map[string]*Upstream]
}

// NewPools starts without upstreams.
func NewPools() *Pools {
	p := &Pools{Resolver: NewResolver()}
	p.byName.Store(&map[string]*Upstream{})
	return p
}

// Get finds the upstream a service's host names; nil when there is none.
func (p *Pools) Get(name string) *Upstream { return (*p.byName.Load())[name] }

func (p *Pools) byID(id string) *Upstream {
	for _, u := range *p.byName.Load() {
		if u.ID == id {
			return u
		}
	}
	return nil
}

// Update follows a new snapshot. Upstreams that did not change go on.
func (p *Pools) Update(st *store.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	before, after := *p.byName.Load(), map[string]*Upstream{}
	targets := map[string][]store.Entity{}
	for _, t := range st.List("targets") {
		id := store.Foreign(t, "upstream")
		targets[id] = append(targets[id], t)
	}
	for _, e := range st.List("upstreams") {
		name := e["name"].(string)
		old := before[name]
		next := newUpstream(e, targets[store.ID(e)], p.Resolver, old)
		if old != nil && reflect.DeepEqual(old.entity, e) && old.sameTargets(next) {
			after[name] = old
			continue
		}
		next.begin()
		after[name] = next
	}
	p.byName.Store(&after)
	for name, old := range before {
		if after[name] != old && old.stop != nil {
			old.stop()
		}
	}
}

// Close ends all active checks.
func (p *Pools) Close() {
	for _, u := range *p.byName.Load() {
		if u.stop != nil {
			u.stop()
		}
	}
}

func (u *Upstream) sameTargets(other *Upstream) bool {
	if len(u.targets) != len(other.targets) {
		return false
	}
	for i, t := range u.targets {
		if t.name != other.targets[i].name || t.weight != other.targets[i].weight {
			return false
		}
	}
	return true
}

// begin starts active checks if there are any.
func (u *Upstream) begin() {
	if u.checks.active.healthy == 0 && u.checks.active.unhealthy == 0 {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	u.stop = cancel
	go u.watch(ctx, u.log)
}

func (u *Upstream) log(a *Address, healthy bool) {
	slog.Warn("health of target changed", "upstream", u.Name, "target", a.Host, "address", a.Key(), "healthy", healthy)
}

// Passive checks: what the proxy saw.

// Status reports the status of a proxied response.
func (u *Upstream) Status(a *Address, code int) {
	if u.checks.passive.status(&a.Monitor, code) {
		u.log(a, a.Healthy())
	}
}

// Failed reports a request that got no response.
func (u *Upstream) Failed(a *Address, o Outcome) {
	if o == TCPFailure {
		u.resolver.Forget(a.Host)
	}
	if a.Report(o, u.checks.passive.limits) {
		u.log(a, false)
	}
}

// What the Admin API shows and sets.

func (u *Upstream) word(t *target, healthy bool) string {
	switch {
	case !u.checks.enabled || t.weight == 0:
		return "HEALTHCHECKS_OFF"
	case healthy:
		return "HEALTHY"
	}
	return "UNHEALTHY"
}

// Target describes one target.
func (p *Pools) Target(id, name string) (string, map[string]any) {
	u := p.byID(id)
	if u == nil {
		return "DNS_ERROR", nil
	}
	for _, t := range u.targets {
		if t.name != name {
			continue
		}
		addresses, err := u.resolve(t)
		if err != nil || len(addresses) == 0 {
			return "DNS_ERROR", nil
		}
		health, list, available := u.word(t, false), []any{}, 0
		for _, a := range addresses {
			word := u.word(t, a.Healthy())
			if a.Healthy() {
				health = word
				available += t.weight
			}
			list = append(list, map[string]any{"ip": a.IP, "port": a.Port, "weight": t.weight, "health": word})
		}
		total := t.weight * len(addresses)
		return health, map[string]any{
			"host": t.host, "port": t.port, "nodeWeight": t.weight, "addresses": list,
			"weight": map[string]any{"total": total, "available": available, "unavailable": total - available},
		}
	}
	return "DNS_ERROR", nil
}

// Upstream sums an upstream up.
func (p *Pools) Upstream(id string) map[string]any {
	u := p.byID(id)
	if u == nil {
		return map[string]any{"id": id, "health": "UNHEALTHY"}
	}
	total, available, hosts := 0, 0, []any{}
	for _, t := range u.targets {
		if _, data := p.Target(id, t.name); data != nil {
			weight := data["weight"].(map[string]any)
			total += weight["total"].(int)
			available += weight["available"].(int)
			hosts = append(hosts, data)
		}
	}
	balance := "UNHEALTHY"
	if available > 0 && float64(available)*100/float64(total) >= u.threshold {
		balance = "HEALTHY"
	}
	health := balance
	if !u.checks.enabled {
		health = "HEALTHCHECKS_OFF"
	}
	return map[string]any{"id": id, "health": health, "balancer_health": balance, "details": map[string]any{
		"healthy": balance == "HEALTHY", "hosts": hosts,
		"weight": map[string]any{"total": total, "available": available, "unavailable": total - available},
	}}
}

// Force sets the health of a target's addresses.
func (p *Pools) Force(id, name, address string, healthy bool) error {
	u := p.byID(id)
	if u == nil {
		return errors.New("Upstream has no balancer") //nolint:staticcheck // shown as is
	}
	if !u.checks.enabled {
		return errors.New("no healthchecker found for " + u.Name)
	}
	wanted, _ := schema.ParseAddress(address)
	for _, t := range u.targets {
		if t.name != name {
			continue
		}
		addresses, err := u.resolve(t)
		if err != nil {
			return err
		}
		for _, a := range addresses {
			if address == "" || (a.IP == wanted.Host && (wanted.Port == 0 || wanted.Port == a.Port)) {
				a.Force(healthy)
			}
		}
		return nil
	}
	return errors.New("target not found: " + name)
}
