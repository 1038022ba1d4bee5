// Package plugin holds the gateway's plugins, one file each, and the chain
// that runs them in order of priority.
//
// A plugin is a Definition (name, priority, configuration table) whose New
// builds an instance per configured plugin entity. The instance implements
// the phases it needs: Accesser, HeaderFilter, Logger. To add a plugin, write
// its file and add its Definition to the table in registry.go.
package plugin

import (
	"nexus/standins/kong/internal/entity"
	"nexus/standins/kong/internal/schema"
)

// Definition describes a plugin.
type Definition struct {
	Name     string
	Version  string
	Priority int // higher runs earlier
	Config   []schema.Field
	// Valid looks at the whole configuration, Checks at the whole entity.
	Valid  schema.Check
	Checks []schema.EntityCheck
	// NoConsumer refuses plugins of this kind on a consumer.
	NoConsumer bool
	// New builds an instance from a valid, complete configuration.
	New func(config map[string]any) any
}

// Accesser runs before the request is proxied; it may end the exchange.
type Accesser interface{ Access(x *Exchange) }

// HeaderFilter runs when a response is there, proxied or made by the gateway.
// It may change x.Response: headers, status, or a wrapped body.
type HeaderFilter interface{ HeaderFilter(x *Exchange) }

// Logger runs after the response was sent.
type Logger interface{ Log(x *Exchange) }

// Binder is told the entity that it is an instance of: its id and scope.
type Binder interface{ Bind(entity map[string]any) }

// Closer is told when its configuration is gone.
type Closer interface{ Close() }

// Registry offers the definitions to the schemas and the Admin API.
type Registry struct{ byName map[string]*Definition }

// NewRegistry is a registry of definitions.
func NewRegistry(definitions []Definition) *Registry {
	r := &Registry{map[string]*Definition{}}
	for i := range definitions {
		r.byName[definitions[i].Name] = &definitions[i]
	}
	return r
}

// Get finds a definition; nil when there is none.
func (r *Registry) Get(name string) *Definition { return r.byName[name] }

// Names lists the plugins there are, unordered.
func (r *Registry) Names() []string {
	out := make([]string, 0, len(r.byName))
	for name := range r.byName {
		out = append(out, name)
	}
	return out
}

// PluginSchema implements entity.PluginConfig.
func (r *Registry) PluginSchema(name string) (entity.PluginSchema, bool) {
	d := r.byName[name]
	if d == nil {
		return entity.PluginSchema{}, false
	}
	return entity.PluginSchema{Config: d.Config, Valid: d.Valid, Checks: d.Checks, NoConsumer: d.NoConsumer}, true
}

// Readers of a validated configuration, for use in New.

func str(config map[string]any, name string) string {
	s, _ := config[name].(string)
	return s
}

func num(config map[string]any, name string) float64 {
	n, _ := config[name].(float64)
	return n
}

func flag(config map[string]any, name string) bool {
	b, _ := config[name].(bool)
	return b
}

func strs(config map[string]any, name string) []string {
	items, _ := config[name].([]any)
	out := make([]string, 0, len(items))
	for _, item := range items {
		if s, ok := item.(string); ok {
			out = append(out, s)
		}
	}
	return out
}

func record(config map[string]any, name string) map[string]any {
	m, _ := config[name].(map[string]any)
	return m
}
