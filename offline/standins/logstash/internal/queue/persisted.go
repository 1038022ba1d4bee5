package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"nexus/standins/logstash/internal/event"
)

// place is a record's place: the page, and the offset in it.
type place struct {
	Page   int   `json:"page"`
	Offset int64 `json:"offset"`
}

// persisted is a row of page files. Records are appended to the last; the checkpoint is where the first one begins that
// is not acknowledged yet. What a kill leaves half written at the end is cut off at the next start.
type persisted struct {
	folder            string
	pageSize, maximum int64

	mutex       sync.Mutex
	changed     chan struct{} // closed and made anew when records come or go
	tail        *os.File
	end         place // where the next record goes
	read, acked place // where Next reads on, where the checkpoint is
	head        *os.File
	bytes       int64 // on disk, from the first page on
	waiting     int64 // records not acknowledged
	taken       int64 // of these, returned by Next
	stop        chan struct{}
	stopped     sync.WaitGroup
}

// syncInterval is how long a record may be in the page cache alone: it outlives a kill there, but no loss of power
// (the original's queue.checkpoint.interval).
const syncInterval = time.Second

// Persisted opens or makes the queue in a folder.
func Persisted(folder string, pageSize, maximum int64) (Queue, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, err
	}
	q := &persisted{folder: folder, pageSize: pageSize, maximum: maximum, changed: make(chan struct{}), stop: make(chan struct{})}
	if err := q.recover(); err != nil {
		return nil, fmt.Errorf("queue in %s: %w", folder, err)
	}
	q.stopped.Add(1)
	go q.sync()
	return q, nil
}

func (q *persisted) page(number int) string {
	return filepath.Join(q.folder, fmt.Sprintf("page.%d", number))
}

// recover counts what is there and opens the last page behind its last whole record.
func (q *persisted) recover() error {
	text, err := os.ReadFile(q.checkpoint())
	if err == nil {
		err = json.Unmarshal(text, &q.acked)
	} else if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return err
	}
	q.read, q.end = q.acked, q.acked
	for number := q.acked.Page; ; number++ {
		file, err := os.OpenFile(q.page(number), os.O_RDWR, 0)
		if errors.Is(err, os.ErrNotExist) {
			break
		} else if err != nil {
			return err
		}
		start := int64(0)
		if number == q.acked.Page {
			start = q.acked.Offset
		}
		count, end, err := scan(file, start)
		if err == nil {
			err = file.Truncate(end)
		}
		_ = file.Close()
		if err != nil {
			return err
		}
		q.waiting += count
		q.bytes += end
		q.end = place{number, end}
	}
	q.tail, err = os.OpenFile(q.page(q.end.Page), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	return err
}

func (q *persisted) checkpoint() string { return filepath.Join(q.folder, "checkpoint") }

// Push appends; events of one call may be on two pages.
func (q *persisted) Push(ctx context.Context, events []*event.Event) error {
	records := make([][]byte, len(events))
	for i, e := range events {
		data, err := e.Marshal()
		if err != nil {
			return err
		}
		records[i] = frame(data)
	}
	q.mutex.Lock()
	defer q.mutex.Unlock()
	for q.bytes >= q.maximum {
		if !q.wait(ctx) {
			return ErrFull
		}
	}
	for _, record := range records {
		if q.end.Offset+int64(len(record)) > q.pageSize && q.end.Offset > 0 {
			if err := q.turn(); err != nil {
				return err
			}
		}
		if _, err := q.tail.Write(record); err != nil {
			_ = q.tail.Truncate(q.end.Offset) // no half record in the middle
			return err
		}
		q.end.Offset += int64(len(record))
		q.bytes += int64(len(record))
		q.waiting++
	}
	q.wake()
	return nil
}

// turn begins a new page.
func (q *persisted) turn() error {
	next, err := os.OpenFile(q.page(q.end.Page+1), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return err
	}
	_ = q.tail.Sync()
	_ = q.tail.Close()
	q.tail, q.end = next, place{q.end.Page + 1, 0}
	return nil
}

// wait releases the lock until something changes; false when ctx ended first.
func (q *persisted) wait(ctx context.Context) bool {
	changed := q.changed
	q.mutex.Unlock()
	defer q.mutex.Lock()
	select {
	case <-changed:
		return true
	case <-ctx.Done():
		return false
	}
}

func (q *persisted) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// Next reads on from where it was.
func (q *persisted) Next(ctx context.Context, max int, delay time.Duration) ([]*event.Event, error) {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	for q.read == q.end {
		if !q.wait(ctx) {
			return nil, nil
		}
	}
	brief, cancel := context.WithTimeout(ctx, delay)
	defer cancel()
	for q.waiting-q.taken < int64(max) && q.wait(brief) {
	}
	var batch []*event.Event
	for len(batch) < max && q.read != q.end {
		data, err := q.record()
		if err != nil {
			return nil, err
		}
		q.taken++
		if e, err := event.Unmarshal(data); err == nil {
			batch = append(batch, e)
		}
	}
	return batch, nil
}

// record reads one record and goes behind it, to the next page where one ends.
func (q *persisted) record() ([]byte, error) {
	for {
		if q.head == nil {
			file, err := os.Open(q.page(q.read.Page))
			if err != nil {
				return nil, err
			}
			q.head = file
		}
		data, err := unframe(io.NewSectionReader(q.head, q.read.Offset, header+limit))
		if err == nil {
			q.read.Offset += frameSize(data)
			return data, nil
		}
		if q.read.Page >= q.end.Page {
			return nil, err
		}
		_ = q.head.Close()
		q.head, q.read = nil, place{q.read.Page + 1, 0}
	}
}

// Acknowledge moves the checkpoint and removes pages that are behind it.
func (q *persisted) Acknowledge() error {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	q.waiting -= q.taken
	q.taken = 0
	text, _ := json.Marshal(q.read)
	partial := q.checkpoint() + ".partial"
	if err := os.WriteFile(partial, text, 0o644); err != nil {
		return err
	}
	if err := os.Rename(partial, q.checkpoint()); err != nil {
		return err
	}
	for ; q.acked.Page < q.read.Page; q.acked.Page++ {
		if info, err := os.Stat(q.page(q.acked.Page)); err == nil {
			q.bytes -= info.Size()
		}
		if err := os.Remove(q.page(q.acked.Page)); err != nil {
			return err
		}
	}
	q.acked = q.read
	q.wake()
	return nil
}

func (q *persisted) sync() {
	defer q.stopped.Done()
	ticker := time.NewTicker(syncInterval)
	defer ticker.Stop()
	var last place
	for {
		select {
		case <-ticker.C:
			q.mutex.Lock()
			if q.end != last {
				last = q.end
				_ = q.tail.Sync()
			}
			q.mutex.Unlock()
		case <-q.stop:
			return
		}
	}
}

func (q *persisted) Stats() Stats {
	q.mutex.Lock()
	defer q.mutex.Unlock()
	return Stats{"persisted", q.waiting, q.bytes, q.maximum}
}

func (q *persisted) Close() error {
	close(q.stop)
	q.stopped.Wait()
	if q.head != nil {
		_ = q.head.Close()
	}
	return errors.Join(q.tail.Sync(), q.tail.Close())
}
