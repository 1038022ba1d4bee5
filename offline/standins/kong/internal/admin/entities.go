package admin

import (
	"net/http"
	"time"

	"nexus/standins/kong/internal/entity"
	"nexus/standins/kong/internal/schema"
	"nexus/standins/kong/internal/store"
)

// collection lists (GET) and creates (POST).
func (s *Server) collection(c *call, sc *schema.Schema, in *scope) (reply, error) {
	switch c.Method {
	case http.MethodGet, http.MethodHead:
		return s.list(c, sc, in)
	case http.MethodPost:
		input, err := c.input(sc)
		if err != nil {
			return reply{}, err
		}
		if in != nil {
			input[in.field] = in.reference()
		}
		created, err := s.insert(c, sc, input)
		if err != nil {
			return reply{}, err
		}
		return reply{http.StatusCreated, s.show(sc, created)}, nil
	}
	return notAllowed(), nil
}

// entity serves one entity, possibly below a parent.
func (s *Server) entity(c *call, sc *schema.Schema, key string, in *scope) (reply, error) {
	found := s.find(sc, key, in)
	switch c.Method {
	case http.MethodGet, http.MethodHead:
		if found == nil {
			return missing(sc), nil
		}
		return ok(s.show(sc, found)), nil
	case http.MethodPut:
		updated, err := s.upsert(c, sc, key, found, in)
		if err != nil {
			return reply{}, err
		}
		return ok(s.show(sc, updated)), nil
	case http.MethodPatch:
		if found == nil {
			return missing(sc), nil
		}
		updated, err := s.update(c, sc, found)
		if err != nil || updated == nil {
			return notFound(), err
		}
		return ok(s.show(sc, updated)), nil
	case http.MethodDelete:
		if found == nil && in != nil {
			return notFound(), nil
		}
		if found == nil {
			return reply{http.StatusNoContent, nil}, nil
		}
		return reply{http.StatusNoContent, nil}, s.remove(c, sc, store.ID(found))
	}
	return notAllowed(), nil
}

func missing(sc *schema.Schema) reply {
	if sc.Name == "certificates" {
		return message(http.StatusNotFound, "SNI not found")
	}
	return notFound()
}

func (s *Server) insert(c *call, sc *schema.Schema, input map[string]any) (store.Entity, error) {
	if sc.Name == "certificates" {
		return s.writeCertificate(c, "", input, func(st *store.State, kind, _ string, input store.Entity) (store.Row, error) {
			return s.Store.PlanInsert(st, kind, input)
		})
	}
	return s.Store.Insert(c.Context(), sc.Name, input)
}

func (s *Server) update(c *call, sc *schema.Schema, found store.Entity) (store.Entity, error) {
	input, err := c.inputFor(sc, found)
	if err != nil {
		return nil, err
	}
	if sc.Name == "certificates" {
		return s.writeCertificate(c, store.ID(found), input, s.Store.PlanUpdate)
	}
	return s.Store.Update(c.Context(), sc.Name, store.ID(found), input)
}

// upsert writes the entity named by an id or an endpoint key.
func (s *Server) upsert(c *call, sc *schema.Schema, key string, found store.Entity, in *scope) (store.Entity, error) {
	input, err := c.inputFor(sc, found)
	if err != nil {
		return nil, err
	}
	if in != nil {
		input[in.field] = in.reference()
	}
	id := key
	if !schema.IsUUID(key) {
		id = schema.NewUUID()
		switch {
		case sc.Name == "certificates":
			names, _ := input["snis"].([]any)
			input["snis"] = append(names, key)
		case sc.Name == "acls":
			input["group"] = key
		case sc.Key != "":
			input[sc.Key] = key
		}
	}
	if found != nil {
		id = store.ID(found)
	}
	if sc.Name == "certificates" {
		return s.writeCertificate(c, id, input, s.Store.PlanUpsert)
	}
	return s.Store.Upsert(c.Context(), sc.Name, id, input)
}

func (s *Server) remove(c *call, sc *schema.Schema, id string) error {
	if sc.Name == "certificates" {
		return s.removeCertificate(c, id)
	}
	return s.Store.Delete(c.Context(), sc.Name, id)
}

// show is an entity as clients see it.
func (s *Server) show(sc *schema.Schema, e store.Entity) any {
	if left, limited := entity.Remaining(e, time.Now()); limited && sc.Name == "keyauth_credentials" {
		out := schema.Clone(e).(map[string]any)
		out["ttl"] = left
		return out
	}
	if sc.Name != "certificates" {
		return e
	}
	out := make(map[string]any, len(e)+1)
	for k, v := range e {
		out[k] = v
	}
	names := []any{}
	for _, sni := range s.Store.State().List("snis") {
		if store.Foreign(sni, "certificate") == store.ID(e) {
			names = append(names, sni["name"])
		}
	}
	out["snis"] = names
	return out
}
