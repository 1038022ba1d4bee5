// Package admin is the Admin API: one generic set of endpoints over the
// entity tables, and the few special ones beside it.
package admin

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"nexus/standins/kong/internal/conf"
	"nexus/standins/kong/internal/plugin"
	"nexus/standins/kong/internal/schema"
	"nexus/standins/kong/internal/store"
)

// Health is what the balancer tells and is told.
type Health interface {
	// Target describes a target: its health word and its addresses.
	Target(upstreamID, target string) (health string, data map[string]any)
	// Upstream sums an upstream up.
	Upstream(upstreamID string) map[string]any
	// Force sets a target's (or one address's) health by hand.
	Force(upstreamID, target, address string, healthy bool) error
}

// Server answers the Admin API.
type Server struct {
	Store    *store.Store
	Registry *plugin.Registry
	Health   Health
	Config   *conf.Config
	NodeID   string
	Requests func() uint64 // served by the proxy so far
	// Responses are what the proxy-cache plugins keep.
	Responses *plugin.Responses
	byPath    map[string]*schema.Schema
}

// New prepares a server.
func New(s Server) *Server {
	s.byPath = map[string]*schema.Schema{}
	for _, sc := range s.Store.Schemas {
		s.byPath[sc.Path] = sc
	}
	return &s
}

// reply is a handler's answer; a nil body sends none.
type reply struct {
	status int
	body   any
}

func ok(body any) reply { return reply{http.StatusOK, body} }
func message(status int, text string) reply {
	return reply{status, map[string]any{"message": text}}
}
func notFound() reply   { return message(http.StatusNotFound, "Not found") }
func notAllowed() reply { return message(http.StatusMethodNotAllowed, "Method not allowed") }

// call is one request, taken apart.
type call struct {
	*http.Request
	segments []string
	query    url.Values
	raw      any // decoded JSON body, or form values
	form     bool
}

func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := time.Now()
	answer := s.answer(r)
	h := w.Header()
	h.Set("Server", conf.ServerHeader)
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("X-Kong-Admin-Latency", strconv.FormatInt(time.Since(start).Milliseconds(), 10))
	var body []byte
	if answer.body != nil {
		body, _ = json.Marshal(answer.body)
		h.Set("Content-Type", "application/json; charset=utf-8")
	}
	if answer.status == http.StatusMethodNotAllowed || r.Method == http.MethodOptions {
		h.Set("Allow", "GET, HEAD, OPTIONS, PATCH, POST, PUT, DELETE")
	}
	if answer.status != http.StatusNoContent {
		h.Set("Content-Length", strconv.Itoa(len(body)))
	}
	w.WriteHeader(answer.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

func (s *Server) answer(r *http.Request) reply {
	if r.Method == http.MethodOptions {
		return reply{http.StatusNoContent, nil}
	}
	c := &call{Request: r, query: r.URL.Query()}
	for _, part := range strings.Split(strings.Trim(r.URL.EscapedPath(), "/"), "/") {
		text, err := url.PathUnescape(part)
		if err != nil {
			return notFound()
		}
		c.segments = append(c.segments, text)
	}
	if bad := c.readBody(); bad != nil {
		return *bad
	}
	return s.recover(s.route(c))
}

// recover turns errors into answers.
func (s *Server) recover(answer reply, err error) reply {
	var problem *store.Problem
	switch {
	case err == nil:
		return answer
	case errors.As(err, &problem):
		return reply{problem.Status, problem}
	}
	slog.Error("admin request failed", "error", err)
	return message(http.StatusInternalServerError, "An unexpected error occurred")
}

func (s *Server) route(c *call) (reply, error) {
	if answer, handled, err := s.special(c); handled {
		return answer, err
	}
	sc := s.byPath[c.segments[0]]
	if sc == nil {
		return notFound(), nil
	}
	switch len(c.segments) {
	case 1:
		return s.collection(c, sc, nil)
	case 2:
		return s.entity(c, sc, c.segments[1], nil)
	case 3, 4:
		return s.nested(c, sc)
	}
	return notFound(), nil
}

// scope ties a nested request to its parent.
type scope struct {
	parent *schema.Schema
	entity store.Entity
	key    string // as written in the path
	field  string // foreign key of the child
}

func (sc *scope) reference() map[string]any { return map[string]any{"id": store.ID(sc.entity)} }

func (s *Server) nested(c *call, parent *schema.Schema) (reply, error) {
	entity := s.lookup(parent, c.segments[1])
	if entity == nil {
		return notFound(), nil
	}
	name := c.segments[2]
	for _, child := range s.Store.Schemas {
		if child.NestedPath() != name {
			continue
		}
		for _, f := range child.Fields {
			if f.Type != schema.Foreign || f.Reference != parent.Name {
				continue
			}
			in := &scope{parent, entity, c.segments[1], f.Name}
			if len(c.segments) == 3 {
				return s.collection(c, child, in)
			}
			return s.entity(c, child, c.segments[3], in)
		}
	}
	if f := parent.Field(name); f != nil && f.Type == schema.Foreign && len(c.segments) == 3 {
		return s.owner(c, parent, entity, f)
	}
	return notFound(), nil
}

// owner serves what an entity's foreign key points to, e.g. /routes/r/service.
func (s *Server) owner(c *call, sc *schema.Schema, entity store.Entity, f *schema.Field) (reply, error) {
	id := store.Foreign(entity, f.Name)
	target := s.Store.Schemas[f.Reference]
	if id == "" && c.Method == http.MethodPut {
		created, err := s.upsert(c, target, schema.NewUUID(), nil, nil)
		if err != nil {
			return reply{}, err
		}
		link := map[string]any{f.Name: map[string]any{"id": store.ID(created)}}
		_, err = s.Store.Update(c.Context(), sc.Name, store.ID(entity), link)
		return ok(s.show(target, created)), err
	}
	if id == "" {
		return notFound(), nil
	}
	if c.Method == http.MethodDelete {
		return notAllowed(), nil
	}
	return s.entity(c, target, id, nil)
}

// lookup finds an entity by id or endpoint key.
func (s *Server) lookup(sc *schema.Schema, key string) store.Entity {
	st := s.Store.State()
	if schema.IsUUID(key) {
		return st.Get(sc.Name, strings.ToLower(key))
	}
	if sc.Name == "certificates" {
		if sni := st.ByKey("snis", key); sni != nil {
			return st.Get(sc.Name, store.Foreign(sni, "certificate"))
		}
		return nil
	}
	if sc.Key == "" {
		return nil
	}
	return st.ByKey(sc.Name, key)
}

// find is lookup below a parent; keys need be unique only there.
func (s *Server) find(sc *schema.Schema, key string, in *scope) store.Entity {
	if in == nil {
		return s.lookup(sc, key)
	}
	for _, e := range s.Store.State().List(sc.Name) {
		if store.Foreign(e, in.field) != store.ID(in.entity) {
			continue
		}
		if store.ID(e) == key || (sc.Key != "" && e[sc.Key] == key) ||
			(sc.Name == "acls" && e["group"] == key) {
			return e
		}
	}
	return nil
}
