package pipeline

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"nexus/standins/logstash/internal/event"
	"nexus/standins/logstash/internal/queue"
)

// Batch is how many events go through at once, and how long a smaller batch waits for more (pipeline.batch.*).
type Batch struct {
	Size  int
	Delay time.Duration
}

// Pipeline is a running configuration.
type Pipeline struct {
	program *program
	queue   queue.Queue
	batch   Batch
	logger  *slog.Logger

	in, filtered, out atomic.Int64
	pushing, working  atomic.Int64 // nanoseconds
	done              chan error
	stopIntake        sync.WaitGroup
	cancel            context.CancelFunc
}

// Start takes the ports and begins. The queue is the caller's to close.
func Start(text string, q queue.Queue, batch Batch, logger *slog.Logger) (*Pipeline, error) {
	compiled, err := build(text, logger)
	if err != nil {
		return nil, err
	}
	p := &Pipeline{program: compiled, queue: q, batch: batch, logger: logger, done: make(chan error, 1)}
	for _, each := range compiled.inputs {
		if err := each.Listen(); err != nil {
			return nil, err
		}
	}
	for _, each := range compiled.inputs {
		p.stopIntake.Go(func() {
			each.Serve(func(ctx context.Context, events []*event.Event) error {
				each.Decorate(events)
				began := time.Now()
				err := q.Push(ctx, events)
				p.pushing.Add(int64(time.Since(began)))
				if err == nil {
					p.in.Add(int64(len(events)))
				}
				return err
			})
		})
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	go func() { p.done <- p.work(ctx) }()
	return p, nil
}

// Done gives the reason when the worker ends: nil after Stop.
func (p *Pipeline) Done() <-chan error { return p.done }

func (p *Pipeline) work(ctx context.Context) error {
	for {
		batch, err := p.queue.Next(ctx, p.batch.Size, p.batch.Delay)
		if err != nil || ctx.Err() != nil {
			return err
		}
		began := time.Now()
		if err := p.through(ctx, batch); err != nil {
			if ctx.Err() != nil {
				return nil // not delivered: still in the queue
			}
			return err
		}
		if err := p.queue.Acknowledge(); err != nil {
			return err
		}
		p.working.Add(int64(time.Since(began)))
	}
}

func (p *Pipeline) through(ctx context.Context, batch []*event.Event) error {
	for _, e := range batch {
		run(p.program.filters, e)
		p.filtered.Add(1)
		if !e.Cancelled {
			run(p.program.routes, e)
		}
	}
	for _, t := range p.program.targets {
		pending := t.pending
		t.pending = nil
		if len(pending) == 0 {
			continue
		}
		if err := t.Deliver(ctx, pending); err != nil {
			return err
		}
		p.out.Add(int64(len(pending)))
	}
	return nil
}

// Stop closes the inputs, then the worker; with a queue in memory, what is in it gets a little time to be delivered.
func (p *Pipeline) Stop(grace time.Duration) {
	for _, each := range p.program.inputs {
		if err := each.Close(); err != nil {
			p.logger.Debug("closing an input", "input", each.Name, "error", err)
		}
	}
	p.stopIntake.Wait()
	if p.queue.Stats().Type == "memory" {
		for end := time.Now().Add(grace); p.queue.Stats().Events > 0 && time.Now().Before(end); {
			time.Sleep(20 * time.Millisecond)
		}
	}
	p.cancel()
}

// Stats is what the monitoring API shows of a pipeline.
func (p *Pipeline) Stats() map[string]any {
	q := p.queue.Stats()
	inputs := []string{}
	for _, each := range p.program.inputs {
		inputs = append(inputs, each.Name)
	}
	outputs := []string{}
	for _, each := range p.program.targets {
		outputs = append(outputs, each.name)
	}
	return map[string]any{
		"events": p.Events(),
		"plugins": map[string]any{
			"inputs": named(inputs), "filters": named(p.program.names["filters"]), "outputs": named(outputs), "codecs": named(nil),
		},
		"queue": map[string]any{
			"type": q.Type, "events_count": q.Events, "queue_size_in_bytes": q.Bytes, "max_queue_size_in_bytes": q.MaxBytes,
		},
	}
}

// Events are the counters.
func (p *Pipeline) Events() map[string]any {
	return map[string]any{
		"in": p.in.Load(), "filtered": p.filtered.Load(), "out": p.out.Load(),
		"duration_in_millis":            p.working.Load() / int64(time.Millisecond),
		"queue_push_duration_in_millis": p.pushing.Load() / int64(time.Millisecond),
	}
}

func named(names []string) []map[string]any {
	list := []map[string]any{}
	for _, name := range names {
		list = append(list, map[string]any{"name": name})
	}
	return list
}
