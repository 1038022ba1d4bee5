package store

import (
	"context"
	"reflect"
	"time"

	"nexus/standins/kong/internal/schema"
)

// Insert stores a new entity.
func (s *Store) Insert(ctx context.Context, kind string, input Entity) (Entity, error) {
	var out Entity
	err := s.Change(ctx, func(st *State) ([]Row, error) {
		row, err := s.PlanInsert(st, kind, input)
		out = row.Entity
		return []Row{row}, err
	})
	return out, err
}

// Update merges input into an existing entity; nil when there is none.
func (s *Store) Update(ctx context.Context, kind, id string, input Entity) (Entity, error) {
	var out Entity
	err := s.Change(ctx, func(st *State) ([]Row, error) {
		out = nil
		if st.Get(kind, id) == nil {
			return nil, nil
		}
		row, err := s.PlanUpdate(st, kind, id, input)
		out = row.Entity
		return []Row{row}, err
	})
	return out, err
}

// Upsert stores the entity under id, replacing what is there.
func (s *Store) Upsert(ctx context.Context, kind, id string, input Entity) (Entity, error) {
	var out Entity
	err := s.Change(ctx, func(st *State) ([]Row, error) {
		row, err := s.PlanUpsert(st, kind, id, input)
		out = row.Entity
		return []Row{row}, err
	})
	return out, err
}

// Delete removes an entity and all that belongs to it.
func (s *Store) Delete(ctx context.Context, kind, id string) error {
	return s.Change(ctx, func(st *State) ([]Row, error) {
		if st.Get(kind, id) == nil {
			return nil, nil
		}
		return s.PlanDelete(st, kind, id)
	})
}

// PlanInsert computes the row of a new entity.
func (s *Store) PlanInsert(st *State, kind string, input Entity) (Row, error) {
	if id, ok := input["id"].(string); ok && st.Get(kind, id) != nil {
		return Row{}, samePrimaryKey(id)
	}
	return s.create(st, kind, schema.Clone(input).(map[string]any), "")
}

// PlanUpsert computes the row of an entity that is replaced or created.
func (s *Store) PlanUpsert(st *State, kind, id string, input Entity) (Row, error) {
	record := schema.Clone(input).(map[string]any)
	if given, ok := record["id"]; ok && given != id {
		return Row{}, Immutable("id")
	}
	record["id"] = id
	if old := st.Get(kind, id); old != nil && record["created_at"] == nil {
		record["created_at"] = old["created_at"]
	}
	return s.create(st, kind, record, id)
}

// PlanUpdate computes the row of a changed entity.
func (s *Store) PlanUpdate(st *State, kind, id string, input Entity) (Row, error) {
	sc := s.Schemas[kind]
	change := schema.Clone(input).(map[string]any)
	if given, ok := change["id"]; ok && given != id {
		return Row{}, Immutable("id")
	}
	errs := schema.Errors{}
	sc.ExpandShorthands(change, &errs)
	if !errs.Empty() {
		return Row{}, Violation(errs)
	}
	return s.complete(st, kind, sc.Merge(st.Get(kind, id), change), change, id)
}

func (s *Store) create(st *State, kind string, record Entity, self string) (Row, error) {
	errs := schema.Errors{}
	s.Schemas[kind].ExpandShorthands(record, &errs)
	if !errs.Empty() {
		return Row{}, Violation(errs)
	}
	return s.complete(st, kind, record, schema.Clone(record).(map[string]any), self)
}

// complete fills in, validates and resolves a record; self is the id it replaces.
func (s *Store) complete(st *State, kind string, record, given Entity, self string) (Row, error) {
	sc := s.Schemas[kind]
	if problem := resolveForeign(st, sc, s.Schemas, record); problem != nil {
		return Row{}, problem
	}
	sc.Fill(record, time.Now())
	if errs := sc.Validate(record); !errs.Empty() {
		return Row{}, Violation(errs)
	}
	for _, f := range sc.Fields {
		if f.Transient {
			delete(record, f.Name)
		}
	}
	if problem := checkReferences(st, sc, record); problem != nil {
		return Row{}, problem
	}
	if sc.Prepare != nil {
		sc.Prepare(record, given)
	}
	if problem := checkUnique(st, sc, record, self); problem != nil {
		return Row{}, problem
	}
	return Row{Kind: kind, ID: ID(record), Entity: record}, nil
}

// resolveForeign turns {name = ...} references into {id = ...}.
func resolveForeign(st *State, sc *schema.Schema, all map[string]*schema.Schema, record Entity) error {
	for _, f := range sc.Fields {
		ref, ok := record[f.Name].(map[string]any)
		if f.Type != schema.Foreign || !ok || ref["id"] != nil {
			continue
		}
		key := all[f.Reference].Key
		name, ok := ref[key].(string)
		if key == "" || !ok {
			continue
		}
		found := st.ByKey(f.Reference, name)
		if found == nil {
			return unresolved(f.Name, f.Reference, map[string]any{key: name})
		}
		record[f.Name] = map[string]any{"id": ID(found)}
	}
	return nil
}

func checkReferences(st *State, sc *schema.Schema, record Entity) error {
	for _, f := range sc.Fields {
		ref, ok := record[f.Name].(map[string]any)
		if f.Type != schema.Foreign || !ok {
			continue
		}
		id, _ := ref["id"].(string)
		if id == "" {
			return FieldViolation(f.Name, "missing primary key")
		}
		if st.Get(f.Reference, id) == nil {
			return noReference(f.Name, f.Reference, map[string]any{"id": id})
		}
		record[f.Name] = map[string]any{"id": id}
	}
	return nil
}

func checkUnique(st *State, sc *schema.Schema, record Entity, self string) error {
	for other, e := range st.kinds[sc.Name] {
		if other == self {
			continue
		}
		for _, f := range sc.Fields {
			if f.Unique && record[f.Name] != nil && e[f.Name] == record[f.Name] {
				return duplicate(map[string]any{f.Name: record[f.Name]})
			}
		}
		if len(sc.Composite) == 0 {
			continue
		}
		same, values := true, map[string]any{}
		for _, name := range sc.Composite {
			values[name] = record[name]
			same = same && reflect.DeepEqual(e[name], record[name])
		}
		if same {
			return duplicate(values)
		}
	}
	return nil
}

// PlanDelete computes the rows to remove with an entity: it and what cascades.
func (s *Store) PlanDelete(st *State, kind, id string) ([]Row, error) {
	rows := []Row{{Kind: kind, ID: id}}
	for child, sc := range s.Schemas {
		for _, f := range sc.Fields {
			if f.Type != schema.Foreign || f.Reference != kind {
				continue
			}
			for childID, e := range st.kinds[child] {
				if Foreign(e, f.Name) != id {
					continue
				}
				if !f.Cascade {
					return nil, stillReferenced(kind, child)
				}
				below, err := s.PlanDelete(st, child, childID)
				if err != nil {
					return nil, err
				}
				rows = append(rows, below...)
			}
		}
	}
	return rows, nil
}

// Check validates input as a new entity without storing it.
func (s *Store) Check(kind string, input Entity) error {
	sc, record := s.Schemas[kind], schema.Clone(input).(map[string]any)
	errs := schema.Errors{}
	sc.ExpandShorthands(record, &errs)
	if errs.Empty() {
		sc.Fill(record, time.Now())
		errs = sc.Validate(record)
	}
	if !errs.Empty() {
		return Violation(errs)
	}
	return nil
}
