package store

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"nexus/standins/kong/internal/schema"
)

// ErrConflict says that another node wrote in between.
var ErrConflict = errors.New("store: revision changed")

// ErrNotBootstrapped says that the database has no tables yet.
var ErrNotBootstrapped = errors.New("Database needs bootstrapping: run 'kong migrations bootstrap'") //nolint:staticcheck // shown as is

// Backend makes changes durable.
type Backend interface {
	// Load reads everything and the revision it belongs to.
	Load(ctx context.Context) (rows []Row, revision int64, err error)
	// Commit applies rows if the stored revision is still the given one.
	Commit(ctx context.Context, revision int64, rows []Row) (next int64, err error)
	// Revision reads the current revision; it also tells whether the backend answers.
	Revision(ctx context.Context) (int64, error)
	Close()
}

// Store is the entity store.
type Store struct {
	Schemas map[string]*schema.Schema

	backend  Backend
	keys     map[string]string
	mu       sync.Mutex // serializes writers
	revision int64
	state    atomic.Pointer[State]
	watchers []func(*State)
	reached  atomic.Bool
}

// Open loads the state from the backend.
func Open(ctx context.Context, backend Backend, schemas map[string]*schema.Schema) (*Store, error) {
	s := &Store{Schemas: schemas, backend: backend, keys: map[string]string{}}
	for name, sc := range schemas {
		s.keys[name] = sc.Key
	}
	return s, s.reload(ctx)
}

// State is the current snapshot.
func (s *Store) State() *State { return s.state.Load() }

// Reachable tells whether the backend answered last time.
func (s *Store) Reachable() bool { return s.reached.Load() }

// Watch calls fn with the current snapshot and after each change.
func (s *Store) Watch(fn func(*State)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers = append(s.watchers, fn)
	fn(s.State())
}

// Renew gives the backend another password, if it has one.
func (s *Store) Renew(password string) {
	if backend, ok := s.backend.(*Postgres); ok {
		backend.Renew(password)
	}
}

// Close releases the backend.
func (s *Store) Close() { s.backend.Close() }

func (s *Store) reload(ctx context.Context) error {
	rows, revision, err := s.backend.Load(ctx)
	s.reached.Store(err == nil)
	if err != nil {
		return err
	}
	s.revision = revision
	s.publish(build(rows, s.keys))
	return nil
}

func (s *Store) publish(next *State) {
	s.state.Store(next)
	for _, fn := range s.watchers {
		fn(next)
	}
}

// attempts bounds how often a write is redone because other nodes write too.
const attempts = 5

// commitTime bounds a write to a database that does not answer.
const commitTime = 10 * time.Second

// Change runs plan on the newest snapshot and stores the rows it returns.
func (s *Store) Change(ctx context.Context, plan func(*State) ([]Row, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	for try := 0; ; try++ {
		rows, err := plan(s.State())
		if err != nil || len(rows) == 0 {
			return err
		}
		next, err := s.backend.Commit(ctx, s.revision, rows)
		s.reached.Store(err == nil || errors.Is(err, ErrConflict))
		if errors.Is(err, ErrConflict) && try < attempts {
			if err := s.reload(ctx); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		s.revision = next
		s.publish(s.State().with(rows, s.keys))
		return nil
	}
}

// Follow looks for changes by other nodes every interval, until ctx ends.
func (s *Store) Follow(ctx context.Context, interval time.Duration, report func(error)) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if err := s.refresh(ctx); err != nil && ctx.Err() == nil {
			report(err)
		}
	}
}

func (s *Store) refresh(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	revision, err := s.backend.Revision(ctx)
	s.reached.Store(err == nil)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if revision == s.revision {
		return nil
	}
	// A write of this node's own may have come in between.
	if revision, err = s.backend.Revision(ctx); err != nil || revision == s.revision {
		return err
	}
	return s.reload(ctx)
}
