// Package store keeps every entity in memory and writes changes through to a
// backend first. Readers get immutable snapshots and never wait; the gateway
// keeps serving when the backend is away.
package store

import (
	"sort"
)

// Entity is one stored record. It is never changed after it was stored.
type Entity = map[string]any

// State is an immutable snapshot: kind -> id -> entity.
type State struct {
	kinds map[string]map[string]Entity
	names map[string]map[string]string // kind -> endpoint key value -> id
}

// Get finds an entity by id.
func (st *State) Get(kind, id string) Entity { return st.kinds[kind][id] }

// ByKey finds an entity by the value of its endpoint key.
func (st *State) ByKey(kind, value string) Entity {
	if id, ok := st.names[kind][value]; ok {
		return st.kinds[kind][id]
	}
	return nil
}

// List returns all entities of a kind, ordered by id.
func (st *State) List(kind string) []Entity {
	out := make([]Entity, 0, len(st.kinds[kind]))
	for _, e := range st.kinds[kind] {
		out = append(out, e)
	}
	sort.Slice(out, func(i, j int) bool { return ID(out[i]) < ID(out[j]) })
	return out
}

// Count is the number of entities of a kind.
func (st *State) Count(kind string) int { return len(st.kinds[kind]) }

// ID is an entity's id.
func ID(e Entity) string {
	id, _ := e["id"].(string)
	return id
}

// Foreign is the id a foreign key points to, or "".
func Foreign(e Entity, field string) string {
	ref, _ := e[field].(map[string]any)
	id, _ := ref["id"].(string)
	return id
}

// Row is one entity to be written, or removed when Entity is nil.
type Row struct {
	Kind, ID string
	Entity   Entity
}

// With is a view of the snapshot that has rows applied, for planning several
// writes as one change. Lookups by key still answer from the snapshot.
func (st *State) With(rows ...Row) *State { return st.with(rows, nil) }

func build(rows []Row, keys map[string]string) *State {
	st := &State{kinds: map[string]map[string]Entity{}, names: map[string]map[string]string{}}
	return st.with(rows, keys)
}

// with returns a new snapshot that has rows applied.
func (st *State) with(rows []Row, keys map[string]string) *State {
	next := &State{kinds: copyMap(st.kinds), names: copyMap(st.names)}
	copied := map[string]bool{}
	for _, row := range rows {
		if !copied[row.Kind] {
			copied[row.Kind] = true
			next.kinds[row.Kind] = copyMap(st.kinds[row.Kind])
			next.names[row.Kind] = copyMap(st.names[row.Kind])
		}
		key := keys[row.Kind]
		if old := next.kinds[row.Kind][row.ID]; old != nil && key != "" {
			if name, ok := old[key].(string); ok && next.names[row.Kind][name] == row.ID {
				delete(next.names[row.Kind], name)
			}
		}
		if row.Entity == nil {
			delete(next.kinds[row.Kind], row.ID)
			continue
		}
		next.kinds[row.Kind][row.ID] = row.Entity
		if name, ok := row.Entity[key].(string); ok && key != "" {
			next.names[row.Kind][name] = row.ID
		}
	}
	return next
}

func copyMap[V any](m map[string]V) map[string]V {
	out := make(map[string]V, len(m)+1)
	for k, v := range m {
		out[k] = v
	}
	return out
}
