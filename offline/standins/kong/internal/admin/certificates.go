package admin

import (
	"nexus/standins/kong/internal/schema"
	"nexus/standins/kong/internal/store"
)

// planner computes the row of a certificate.
type planner func(st *store.State, kind, id string, input store.Entity) (store.Row, error)

// writeCertificate stores a certificate and its "snis" list in one change.
func (s *Server) writeCertificate(c *call, id string, input map[string]any, plan planner) (store.Entity, error) {
	names, given := input["snis"].([]any)
	var out store.Entity
	err := s.Store.Change(c.Context(), func(st *store.State) ([]store.Row, error) {
		row, err := plan(st, "certificates", id, input)
		if err != nil {
			return nil, err
		}
		out = row.Entity
		rows := []store.Row{row}
		if !given {
			return rows, nil
		}
		more, err := s.planNames(st, row, names)
		return append(rows, more...), err
	})
	return out, err
}

// planNames makes the SNI entities of a certificate match names.
func (s *Server) planNames(st *store.State, certificate store.Row, names []any) ([]store.Row, error) {
	rows, have := []store.Row{}, map[string]bool{}
	for _, sni := range st.List("snis") {
		if store.Foreign(sni, "certificate") != certificate.ID {
			continue
		}
		name := sni["name"].(string)
		if have[name] = contains(names, name); !have[name] {
			rows = append(rows, store.Row{Kind: "snis", ID: store.ID(sni)})
		}
	}
	for _, item := range names {
		name, _ := item.(string)
		if have[name] {
			continue
		}
		have[name] = true
		if st.ByKey("snis", name) != nil {
			errs := schema.Errors{}
			errs.Set("snis", name+" already associated with existing certificate '"+
				store.Foreign(st.ByKey("snis", name), "certificate")+"'")
			return nil, store.Violation(errs)
		}
		sni := map[string]any{"name": name, "certificate": map[string]any{"id": certificate.ID}}
		// The certificate is part of the same change, so plan on a view that has it.
		row, err := s.Store.PlanInsert(st.With(certificate), "snis", sni)
		if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// removeCertificate deletes a certificate and its SNIs.
func (s *Server) removeCertificate(c *call, id string) error {
	return s.Store.Change(c.Context(), func(st *store.State) ([]store.Row, error) {
		rows := []store.Row{}
		for _, sni := range st.List("snis") {
			if store.Foreign(sni, "certificate") == id {
				rows = append(rows, store.Row{Kind: "snis", ID: store.ID(sni)})
			}
		}
		own, err := s.Store.PlanDelete(st.With(rows...), "certificates", id)
		return append(rows, own...), err
	})
}

func contains(items []any, name string) bool {
	for _, item := range items {
		if item == name {
			return true
		}
	}
	return false
}
