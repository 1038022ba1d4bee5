package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"nexus/standins/kong/internal/entity"
	"nexus/standins/kong/internal/plugin"
	"nexus/standins/kong/internal/store"
)

// shared is a database that two stores write to.
type shared struct {
	mu       sync.Mutex
	rows     map[string]store.Row
	revision int64
	down     bool
}

var errDown = errors.New("down")

func (d *shared) Load(context.Context) ([]store.Row, int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := []store.Row{}
	for _, row := range d.rows {
		out = append(out, row)
	}
	return out, d.revision, nil
}

func (d *shared) Commit(_ context.Context, revision int64, rows []store.Row) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.down:
		return 0, errDown
	case revision != d.revision:
		return 0, store.ErrConflict
	}
	for _, row := range rows {
		if row.Entity == nil {
			delete(d.rows, row.ID)
		} else {
			d.rows[row.ID] = row
		}
	}
	d.revision++
	return d.revision, nil
}

func (d *shared) Revision(context.Context) (int64, error) { return d.revision, nil }
func (d *shared) Close()                                  {}

func open(t *testing.T, d *shared) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), d, entity.All(plugin.Bundled(plugin.NewShared(nil, nil))))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNamesStayUniqueWhenNodesWriteAtTheSameTime(t *testing.T) {
	d, ctx := &shared{rows: map[string]store.Row{}}, context.Background()
	nodes := []*store.Store{open(t, d), open(t, d)}
	created := make(chan bool, 40)
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			_, err := nodes[i%2].Insert(ctx, "services", map[string]any{"name": fmt.Sprint("s", i/4), "host": "h"})
			created <- err == nil
		}()
	}
	wg.Wait()
	close(created)
	count := 0
	for ok := range created {
		if ok {
			count++
		}
	}
	if count != 10 || len(d.rows) != 10 {
		t.Errorf("%d created, %d stored, 10 names", count, len(d.rows))
	}
}

func TestAWriteThatFailsChangesNothing(t *testing.T) {
	d, ctx := &shared{rows: map[string]store.Row{}}, context.Background()
	s := open(t, d)
	made, _ := s.Insert(ctx, "services", map[string]any{"name": "s", "host": "h"})
	d.down = true
	if err := s.Delete(ctx, "services", store.ID(made)); !errors.Is(err, errDown) || s.Reachable() {
		t.Errorf("%v, reachable %v", err, s.Reachable())
	}
	if s.State().ByKey("services", "s") == nil {
		t.Error("removed from memory though it is still stored")
	}
	d.down = false
	renamed, err := s.Update(ctx, "services", store.ID(made), map[string]any{"name": "t"})
	if err != nil || renamed["name"] != "t" || s.State().ByKey("services", "s") != nil || s.State().ByKey("services", "t") == nil {
		t.Errorf("%v %v", renamed, err)
	}
}
