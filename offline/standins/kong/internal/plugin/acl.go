package plugin

import (
	"net/http"
	"slices"
	"strings"

	"nexus/standins/kong/internal/schema"
)

var acl = Definition{
	Name: "acl", Version: "3.9.1", Priority: 950, NoConsumer: true,
	Config: []schema.Field{
		schema.ListOf("allow", schema.Field{Type: schema.String}), schema.ListOf("deny", schema.Field{Type: schema.String}),
		schema.Flag("hide_groups_header", false), schema.Flag("always_use_authenticated_groups", false),
	},
	Checks: []schema.EntityCheck{oneOfTwo("config", "allow", "deny"), atLeastOne("config", "allow", "deny")},
	New: func(config map[string]any) any {
		p := &groups{names: strs(config, "deny"), deny: true, hide: flag(config, "hide_groups_header")}
		if len(p.names) == 0 {
			p.names, p.deny = strs(config, "allow"), false
		}
		return p
	},
}

// oneOfTwo and atLeastOne are checks of a plugin's configuration, named as the original names them.
func oneOfTwo(within, a, b string) schema.EntityCheck {
	return schema.EntityCheck{Label: "only_one_of", Run: func(entity map[string]any, errs *schema.Errors) {
		config := record(entity, within)
		if schema.AnySet(config, a) == schema.AnySet(config, b) {
			errs.Add("exactly one of these fields must be non-empty: " + schema.Quoted(within+"."+a, within+"."+b))
		}
	}}
}

func atLeastOne(within string, names ...string) schema.EntityCheck {
	full := make([]string, len(names))
	for i, name := range names {
		full[i] = within + "." + name
	}
	return schema.EntityCheck{Label: "at_least_one_of", Run: func(entity map[string]any, errs *schema.Errors) {
		if !schema.AnySet(record(entity, within), names...) {
			errs.Add("at least one of these fields must be non-empty: " + schema.Quoted(full...))
		}
	}}
}

type groups struct {
	names      []string
	deny, hide bool
}

const forbidden = "You cannot consume this service"

func (p *groups) Access(x *Exchange) {
	if x.Consumer == nil {
		p.refuse(x)
		return
	}
	own := x.Directory.Groups(x.Consumer)
	if len(own) == 0 && !p.deny {
		p.refuse(x)
		return
	}
	in := slices.ContainsFunc(own, func(group string) bool { return slices.Contains(p.names, group) })
	if in == p.deny {
		x.Refuse(http.StatusForbidden, forbidden)
		return
	}
	if !p.hide {
		x.Request.Header.Set("X-Consumer-Groups", strings.Join(own, ", "))
	}
}

// refuse tells a stranger from somebody without the right.
func (p *groups) refuse(x *Exchange) {
	if x.Credential != nil {
		x.Refuse(http.StatusForbidden, forbidden)
		return
	}
	x.Refuse(http.StatusUnauthorized, "Unauthorized")
}
