package entity

import (
	s "nexus/standins/kong/internal/schema"
)

// PluginConfig is the part of a plugin that its entity's schema needs.
type PluginConfig interface {
	// PluginSchema finds what is special about a plugin's entity.
	PluginSchema(name string) (PluginSchema, bool)
}

// PluginSchema is what is special about the entities of one plugin.
type PluginSchema struct {
	Config     []s.Field
	Valid      s.Check // of the whole configuration, may be nil
	Checks     []s.EntityCheck
	NoConsumer bool
}

func plugins(configs PluginConfig) *s.Schema {
	scope := func(name, target string) s.Field {
		f := s.Ref(name, target)
		f.Cascade = true
		return f
	}
	base := []s.Field{
		s.ID(), {Name: "name", Type: s.String, Required: true}, s.Name("instance_name"), s.CreatedAt(), s.UpdatedAt(),
		scope("route", "routes"), scope("service", "services"), scope("consumer", "consumers"),
		{Name: "config", Type: s.Record}, s.ProtocolSet(s.Protocols), s.Flag("enabled", true), s.Tags(),
	}
	return &s.Schema{
		Name: "plugins", Path: "plugins", Key: "instance_name",
		Composite: []string{"name", "route", "service", "consumer"},
		Fields:    base,
		Specialize: func(r map[string]any) ([]s.Field, s.Errors) {
			errs := s.Errors{}
			name, ok := r["name"].(string)
			if !ok {
				errs.Set("name", "required field missing")
				return base, errs
			}
			special, ok := configs.PluginSchema(name)
			if !ok {
				errs.Set("name", "plugin '"+name+"' not enabled; add it to the 'plugins' configuration property")
				return base, errs
			}
			return specialize(base, special), errs
		},
		SpecialChecks: func(r map[string]any) []s.EntityCheck {
			name, _ := r["name"].(string)
			special, _ := configs.PluginSchema(name)
			return special.Checks
		},
	}
}

func specialize(base []s.Field, special PluginSchema) []s.Field {
	out := append([]s.Field(nil), base...)
	for i := range out {
		switch out[i].Name {
		case "config":
			out[i].Fields, out[i].Check, out[i].Required = special.Config, special.Valid, true
		case "protocols":
			out[i] = s.ProtocolSet(s.HTTPProtocols)
		case "consumer":
			if special.NoConsumer {
				out[i].NullError = "value must be null"
			}
		}
	}
	return out
}

// All returns every entity schema by collection name.
func All(configs PluginConfig) map[string]*s.Schema {
	list := []*s.Schema{services(), routes(), upstreams(), targets(), consumers(), plugins(configs)}
	list = append(list, credentials()...)
	list = append(list, certificates()...)
	out := make(map[string]*s.Schema, len(list))
	for _, schema := range list {
		out[schema.Name] = schema
	}
	return out
}
