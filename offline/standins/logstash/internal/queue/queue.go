// Package queue is what stands between inputs and filters: in memory, or on disk so that a stop loses nothing.
package queue

import (
	"context"
	"errors"
	"time"

	"nexus/standins/logstash/internal/event"
)

// ErrFull is the answer to a push that found no room in time.
var ErrFull = errors.New("the queue is full")

// Queue is filled by many inputs and emptied by one worker.
type Queue interface {
	// Push keeps the events; it waits for room until ctx ends.
	Push(ctx context.Context, events []*event.Event) error
	// Next waits for events, a moment for more of them, and returns at most max; nil when ctx has ended.
	Next(ctx context.Context, max int, delay time.Duration) ([]*event.Event, error)
	// Acknowledge forgets all events that Next has returned.
	Acknowledge() error
	Stats() Stats
	Close() error
}

// Stats is what the monitoring API shows.
type Stats struct {
	Type     string
	Events   int64
	Bytes    int64
	MaxBytes int64
}

type memory struct{ events chan *event.Event }

// Memory holds up to size events.
func Memory(size int) Queue { return &memory{make(chan *event.Event, size)} }

func (m *memory) Push(ctx context.Context, events []*event.Event) error {
	for _, e := range events {
		select {
		case m.events <- e:
		case <-ctx.Done():
			return ErrFull
		}
	}
	return nil
}

func (m *memory) Next(ctx context.Context, max int, delay time.Duration) ([]*event.Event, error) {
	var batch []*event.Event
	select {
	case e := <-m.events:
		batch = append(batch, e)
	case <-ctx.Done():
		return nil, nil
	}
	end := time.After(delay)
	for len(batch) < max {
		select {
		case e := <-m.events:
			batch = append(batch, e)
		case <-end:
			return batch, nil
		}
	}
	return batch, nil
}

func (m *memory) Acknowledge() error { return nil }
func (m *memory) Stats() Stats       { return Stats{Type: "memory", Events: int64(len(m.events))} }
func (m *memory) Close() error       { return nil }
