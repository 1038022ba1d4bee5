package proxy

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"time"
)

// recorder remembers what was sent to the client.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if status >= http.StatusOK || status == http.StatusSwitchingProtocols {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap gives http.ResponseController the flusher and hijacker below.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// accessLog writes one JSON document per line.
type accessLog struct {
	mu  sync.Mutex
	out io.Writer // nil: off
}

func newAccessLog(out io.Writer) *accessLog { return &accessLog{out: out} }

type line struct {
	Time      string         `json:"time"`
	Request   string         `json:"request_id"`
	Client    string         `json:"client_ip"`
	Method    string         `json:"method"`
	Host      string         `json:"host"`
	URI       string         `json:"uri"`
	Protocol  string         `json:"protocol"`
	Status    int            `json:"status"`
	Bytes     int64          `json:"bytes"`
	Seconds   float64        `json:"seconds"`
	Upstream  float64        `json:"upstream_seconds,omitempty"`
	Route     any            `json:"route,omitempty"`
	Service   any            `json:"service,omitempty"`
	Consumer  any            `json:"consumer,omitempty"`
	Peer      string         `json:"upstream,omitempty"`
	Tries     int            `json:"tries,omitempty"`
	UserAgent string         `json:"user_agent,omitempty"`
	Extra     map[string]any `json:"extra,omitempty"`
}

func (l *accessLog) write(f *flight) {
	if l.out == nil {
		return
	}
	r := f.Request
	entry := line{
		Time: f.Start.UTC().Format("2006-01-02T15:04:05.000Z"), Request: f.ID, Client: f.ClientIP, Method: r.Method,
		Host: f.Host, URI: r.RequestURI, Protocol: r.Proto, Status: f.writer.status, Bytes: f.writer.bytes,
		Seconds: time.Since(f.Start).Seconds(), Route: label(f.Route), Service: label(f.Service),
		Consumer: label(f.Consumer), Peer: f.peer, Tries: len(f.tries), UserAgent: r.UserAgent(), Extra: f.LogFields,
	}
	if !f.answered.IsZero() {
		entry.Upstream = f.answered.Sub(f.sent).Seconds()
	}
	text, err := json.Marshal(entry)
	if err != nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = l.out.Write(append(text, '\n'))
}

// label is an entity's name, or its id.
func label(e map[string]any) any {
	for _, key := range []string{"name", "username", "id"} {
		if e[key] != nil {
			return e[key]
		}
	}
	return nil
}

// buffers are reused for copying bodies.
type buffers struct{ pool sync.Pool }

const copyBuffer = 16 << 10 // bytes

func (b *buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[]byte); ok {
		return *p
	}
	return make([]byte, copyBuffer)
}

func (b *buffers) Put(p []byte) { b.pool.Put(&p) }
