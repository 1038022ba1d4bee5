package entity

import (
	s "nexus/standins/kong/internal/schema"
)

// PluginConfig is the part of a plugin that its entity's schema needs.
type PluginConfig interface {
	// ConfigFields finds the configuration table of a plugin.
	ConfigFields(name string) (fields []s.Field, checks []s.EntityCheck, consumer bool, ok bool)
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
			fields, checks, consumer, ok := configs.ConfigFields(name)
			if !ok {
				errs.Set("name", "plugin '"+name+"' not enabled; add it to the 'plugins' configuration property")
				return base, errs
			}
			return specialize(base, fields, checks, consumer), errs
		},
	}
}

func specialize(base, config []s.Field, checks []s.EntityCheck, consumer bool) []s.Field {
	out := append([]s.Field(nil), base...)
	for i := range out {
		switch out[i].Name {
		case "config":
			out[i].Fields, out[i].Checks, out[i].Required = config, checks, true
		case "protocols":
			out[i] = s.ProtocolSet(s.HTTPProtocols)
		case "consumer":
			if !consumer {
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
