package store

import (
	"context"
	"sync/atomic"
)

// Memory is a backend that forgets everything with the process (for tests).
type Memory struct{ revision atomic.Int64 }

// Load starts empty.
func (m *Memory) Load(context.Context) ([]Row, int64, error) { return nil, m.revision.Load(), nil }

// Commit only counts.
func (m *Memory) Commit(_ context.Context, _ int64, _ []Row) (int64, error) {
	return m.revision.Add(1), nil
}

// Revision is the number of commits.
func (m *Memory) Revision(context.Context) (int64, error) { return m.revision.Load(), nil }

// Close does nothing.
func (m *Memory) Close() {}
