package admin

import (
	"net/http"
	"os"
	"runtime"
	"sort"

	"nexus/standins/kong/internal/conf"
	"nexus/standins/kong/internal/schema"
)

// special serves the endpoints that are not plain entities.
func (s *Server) special(c *call) (answer reply, handled bool, err error) {
	read := c.Method == http.MethodGet || c.Method == http.MethodHead
	n := len(c.segments)
	switch c.segments[0] {
	case "":
		return onlyRead(read, s.node()), true, nil
	case "status":
		if n == 1 {
			return onlyRead(read, ok(s.StatusDocument())), true, nil
		}
	case "endpoints":
		return onlyRead(read, ok(map[string]any{"data": s.endpoints()})), n == 1, nil
	case "timers":
		return onlyRead(read, ok(map[string]any{"stats": map[string]any{}})), n == 1, nil
	case "schemas":
		answer, err = s.schemas(c, read)
		return answer, true, err
	case "tags":
		if n > 2 {
			return notFound(), true, nil
		}
		if !read {
			return notAllowed(), true, nil
		}
		only := ""
		if n == 2 {
			only = c.segments[1]
		}
		answer, err = s.tags(c, only)
		return answer, true, err
	case "plugins":
		if n == 2 && c.segments[1] == "enabled" {
			return onlyRead(read, ok(map[string]any{"enabled_plugins": s.pluginNames()})), true, nil
		}
		if n == 3 && c.segments[1] == "schema" {
			return onlyRead(read, s.pluginSchema(c.segments[2], true)), true, nil
		}
	case "proxy-cache":
		return s.proxyCache(c, read), true, nil
	case "upstreams":
		return s.upstreams(c, read)
	}
	return reply{}, false, nil
}

func onlyRead(read bool, answer reply) reply {
	if !read {
		return notAllowed()
	}
	return answer
}

// node describes this server.
func (s *Server) node() reply {
	host, _ := os.Hostname()
	available, inUse := map[string]any{}, map[string]bool{}
	for _, name := range s.Registry.Names() {
		d := s.Registry.Get(name)
		available[name] = map[string]any{"version": d.Version, "priority": d.Priority}
	}
	for _, e := range s.Store.State().List("plugins") {
		inUse[e["name"].(string)] = true
	}
	return ok(map[string]any{
		"tagline": "Welcome to kong", "version": conf.Version, "edition": "community", "stand_in": true,
		"hostname": host, "node_id": s.NodeID, "lua_version": runtime.Version(),
		"plugins": map[string]any{"available_on_server": available, "enabled_in_cluster": sorted(inUse)},
		"pids":    map[string]any{"master": os.Getpid()},
		"timers":  map[string]any{"running": 0, "pending": 0},
		"configuration": map[string]any{
			"database": s.Config.Database, "router_flavor": s.Config.Flavor, "prefix": s.Config.Prefix,
			"log_level": s.Config.LogLevel, "pg_host": s.Config.PG.Host, "pg_database": s.Config.PG.Database,
			"pg_user": s.Config.PG.User, "pg_password": "******",
		},
	})
}

// StatusDocument is /status, here and on the status listener.
func (s *Server) StatusDocument() map[string]any {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return map[string]any{
		"database": map[string]any{"reachable": s.Store.Reachable()},
		"memory":   map[string]any{"heap_bytes": m.HeapAlloc, "system_bytes": m.Sys},
		"server":   map[string]any{"total_requests": s.Requests()},
	}
}

func (s *Server) pluginNames() []string {
	set := map[string]bool{}
	for _, name := range s.Registry.Names() {
		set[name] = true
	}
	return sorted(set)
}

func (s *Server) endpoints() []string {
	set := map[string]bool{"/": true, "/status": true, "/endpoints": true, "/tags": true, "/plugins/enabled": true}
	for _, sc := range s.Store.Schemas {
		set["/"+sc.Path] = true
		set["/"+sc.Path+"/{"+sc.Name+"}"] = true
		for _, f := range sc.Fields {
			if f.Type == schema.Foreign {
				parent := s.Store.Schemas[f.Reference]
				base := "/" + parent.Path + "/{" + parent.Name + "}/" + sc.NestedPath()
				set[base] = true
				set[base+"/{"+sc.Name+"}"] = true
				set["/"+sc.Path+"/{"+sc.Name+"}/"+f.Name] = true
			}
		}
	}
	return sorted(set)
}

// schemas serves /schemas/<entity>, /schemas/plugins/<name> and .../validate.
func (s *Server) schemas(c *call, read bool) (reply, error) {
	rest := c.segments[1:]
	switch {
	case len(rest) == 2 && rest[1] == "validate" && c.Method == http.MethodPost:
		return s.validate(c, rest[0])
	case !read:
		return notAllowed(), nil
	case len(rest) == 2 && rest[0] == "plugins":
		return s.pluginSchema(rest[1], false), nil
	case len(rest) == 1:
		sc := s.Store.Schemas[rest[0]]
		if sc == nil {
			return message(http.StatusNotFound, "No entity named '"+rest[0]+"'"), nil
		}
		return ok(schema.Document(sc.Fields, sc.Checks)), nil
	}
	return notFound(), nil
}

func (s *Server) pluginSchema(name string, configOnly bool) reply {
	sc := s.Store.Schemas["plugins"]
	d := s.Registry.Get(name)
	if d == nil {
		return message(http.StatusNotFound, "No plugin named '"+name+"'")
	}
	if configOnly {
		return ok(schema.Document(d.Config, d.Checks))
	}
	fields, _ := sc.FieldsOf(map[string]any{"name": name})
	return ok(schema.Document(fields, nil))
}

// validate checks a document without storing it.
func (s *Server) validate(c *call, kind string) (reply, error) {
	sc := s.Store.Schemas[kind]
	if sc == nil {
		return message(http.StatusNotFound, "No entity named '"+kind+"'"), nil
	}
	input, err := c.input(sc)
	if err != nil {
		return reply{}, err
	}
	if problem := s.Store.Check(kind, input); problem != nil {
		return reply{}, problem
	}
	return ok(map[string]any{"message": "schema validation successful"}), nil
}

func sorted(set map[string]bool) []string {
	out := make([]string, 0, len(set))
	for name := range set {
		out = append(out, name)
	}
	sort.Strings(out)
	return out
}
