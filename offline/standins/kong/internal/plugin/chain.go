package plugin

import (
	"reflect"
	"sort"

	"nexus/standins/kong/internal/store"
)

// Chain is all configured plugins, ready to run.
type Chain struct {
	groups    [][]bound
	directory *Directory
}

// bound is one plugin entity with its scope ("" = any).
type bound struct {
	definition               *Definition
	instance                 any
	route, service, consumer string
}

// Build makes the chain for a snapshot. Instances of unchanged entities are
// taken over from the previous chain, so that their counters go on.
func Build(registry *Registry, st *store.State, cache *Cache) *Chain {
	byName := map[string][]bound{}
	seen := map[string]bool{}
	for _, e := range st.List("plugins") {
		definition := registry.Get(e["name"].(string))
		if definition == nil || e["enabled"] != true {
			continue
		}
		seen[store.ID(e)] = true
		byName[definition.Name] = append(byName[definition.Name], bound{
			definition, cache.instance(definition, e),
			store.Foreign(e, "route"), store.Foreign(e, "service"), store.Foreign(e, "consumer"),
		})
	}
	cache.keep(seen)
	chain := &Chain{directory: newDirectory(st)}
	for _, group := range byName {
		sort.SliceStable(group, func(i, j int) bool { return group[i].rank() > group[j].rank() })
		chain.groups = append(chain.groups, group)
	}
	sort.Slice(chain.groups, func(i, j int) bool {
		a, b := chain.groups[i][0].definition, chain.groups[j][0].definition
		if a.Priority != b.Priority {
			return a.Priority > b.Priority
		}
		return a.Name < b.Name
	})
	return chain
}

// rank orders scopes: the more specific configuration of a plugin wins.
func (b *bound) rank() int {
	rank := 0
	if b.consumer != "" {
		rank += 8
	}
	if b.route != "" {
		rank += 4
	}
	if b.service != "" {
		rank += 2
	}
	// route+service is more specific than consumer alone
	if b.route != "" && b.service != "" && b.consumer == "" {
		rank += 3
	}
	return rank
}

func (b *bound) applies(x *Exchange) bool {
	return (b.route == "" || b.route == store.ID(x.Route)) &&
		(b.service == "" || b.service == store.ID(x.Service)) &&
		(b.consumer == "" || b.consumer == store.ID(x.Consumer))
}

// each runs fn on the instance of every plugin that applies, in order.
func (c *Chain) each(x *Exchange, fn func(instance any) bool) {
	for _, group := range c.groups {
		for i := range group {
			if group[i].applies(x) {
				if !fn(group[i].instance) {
					return
				}
				break
			}
		}
	}
}

// Access runs the access phase until a plugin ends the exchange.
func (c *Chain) Access(x *Exchange) {
	x.Directory = c.directory
	c.each(x, func(instance any) bool {
		if p, ok := instance.(Accesser); ok {
			p.Access(x)
		}
		return !x.ended
	})
}

// HeaderFilter runs the header_filter phase on x.Response.
func (c *Chain) HeaderFilter(x *Exchange) {
	for name, values := range x.Header {
		if name == "Set-Cookie" { // cookies add up, everything else replaces
			values = append(x.Response.Header[name], values...)
		}
		x.Response.Header[name] = values
	}
	c.each(x, func(instance any) bool {
		if p, ok := instance.(HeaderFilter); ok {
			p.HeaderFilter(x)
		}
		return true
	})
}

// Log runs the log phase.
func (c *Chain) Log(x *Exchange) {
	c.each(x, func(instance any) bool {
		if p, ok := instance.(Logger); ok {
			p.Log(x)
		}
		return true
	})
}

// Cache keeps plugin instances between rebuilds.
type Cache struct{ entries map[string]cached }

type cached struct {
	entity   store.Entity
	instance any
}

// unchanged tells whether an instance made for one entity serves another: configuration and scope are the same.
func unchanged(a, b store.Entity) bool {
	for _, name := range []string{"config", "route", "service", "consumer"} {
		if !reflect.DeepEqual(a[name], b[name]) {
			return false
		}
	}
	return true
}

// NewCache is an empty cache.
func NewCache() *Cache { return &Cache{map[string]cached{}} }

func (c *Cache) instance(d *Definition, e store.Entity) any {
	old, ok := c.entries[store.ID(e)]
	if ok && unchanged(old.entity, e) {
		return old.instance
	}
	config, _ := e["config"].(map[string]any)
	instance := d.New(config)
	if b, ok := instance.(Binder); ok {
		b.Bind(e)
	}
	closeInstance(old.instance)
	c.entries[store.ID(e)] = cached{entity: e, instance: instance}
	return instance
}

func (c *Cache) keep(seen map[string]bool) {
	for id := range c.entries {
		if !seen[id] {
			closeInstance(c.entries[id].instance)
			delete(c.entries, id)
		}
	}
}

func closeInstance(instance any) {
	if c, ok := instance.(Closer); ok {
		c.Close()
	}
}
