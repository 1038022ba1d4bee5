package admin

import (
	"net/http"
	"sort"

	"nexus/standins/kong/internal/schema"
	"nexus/standins/kong/internal/store"
)

// upstreams serves what upstreams and their targets have beyond plain entities.
func (s *Server) upstreams(c *call, read bool) (reply, bool, error) {
	n := len(c.segments)
	if n < 3 || (c.segments[2] != "health" && c.segments[2] != "targets") {
		return reply{}, false, nil
	}
	upstream := s.lookup(s.Store.Schemas["upstreams"], c.segments[1])
	if upstream == nil {
		return notFound(), true, nil
	}
	in := &scope{s.Store.Schemas["upstreams"], upstream, c.segments[1], "upstream"}
	switch {
	case c.segments[2] == "health" && n == 3:
		if !read {
			return notAllowed(), true, nil
		}
		answer, err := s.health(c, in)
		return answer, true, err
	case n == 4 && c.segments[3] == "all":
		if !read {
			return notAllowed(), true, nil
		}
		answer, err := s.list(c, s.Store.Schemas["targets"], in)
		return answer, true, err
	case n == 3 && read:
		answer, err := s.targets(c, in, "targets", nil)
		return answer, true, err
	case n >= 5 && (c.segments[n-1] == "healthy" || c.segments[n-1] == "unhealthy"):
		return s.force(c, in), true, nil
	case n == 4 && c.Method == http.MethodPut:
		// PUT changes an existing target; it never creates one.
		c.Method = http.MethodPatch
	}
	return reply{}, false, nil
}

// targets lists an upstream's targets, newest first, with extra fields.
func (s *Server) targets(c *call, in *scope, path string, extra func(store.Entity) map[string]any) (reply, error) {
	items := []store.Entity{}
	for _, e := range s.Store.State().List("targets") {
		if store.Foreign(e, "upstream") == store.ID(in.entity) {
			items = append(items, e)
		}
	}
	sort.SliceStable(items, func(i, j int) bool {
		return items[i]["created_at"].(float64) > items[j]["created_at"].(float64)
	})
	page, next, err := paginate(items, c.query, "/upstreams/"+in.key+"/"+path, store.ID)
	shown := make([]any, len(page))
	for i, e := range page {
		shown[i] = e
		if extra != nil {
			shown[i] = extra(e)
		}
	}
	return ok(next.document(shown)), err
}

func (s *Server) health(c *call, in *scope) (reply, error) {
	id := store.ID(in.entity)
	if c.query.Get("balancer_health") == "1" {
		return ok(map[string]any{"data": s.Health.Upstream(id), "next": nil, "node_id": s.NodeID}), nil
	}
	answer, err := s.targets(c, in, "health", func(e store.Entity) map[string]any {
		out := schema.Clone(e).(map[string]any)
		out["health"], out["data"] = nil, nil
		health, data := s.Health.Target(id, e["target"].(string))
		out["health"], out["data"] = health, data
		return out
	})
	if doc, isDoc := answer.body.(map[string]any); isDoc {
		doc["node_id"] = s.NodeID
	}
	return answer, err
}

// force serves PUT .../targets/<t>[/<address>]/healthy|unhealthy.
func (s *Server) force(c *call, in *scope) reply {
	n := len(c.segments)
	if n > 6 {
		return notFound()
	}
	if c.Method != http.MethodPut {
		return notAllowed()
	}
	target := s.find(s.Store.Schemas["targets"], c.segments[3], in)
	if target == nil {
		return notFound()
	}
	address := ""
	if n == 6 {
		address = c.segments[4]
	}
	err := s.Health.Force(store.ID(in.entity), target["target"].(string), address, c.segments[n-1] == "healthy")
	if err != nil {
		return message(http.StatusBadRequest, err.Error())
	}
	return reply{http.StatusNoContent, nil}
}
