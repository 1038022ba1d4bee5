package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"nexus/standins/kong/internal/schema"
)

var httpLog = Definition{
	Name: "http-log", Version: "3.9.1", Priority: 12,
	Config: []schema.Field{
		{Name: "http_endpoint", Type: schema.String, Required: true, Check: checkEndpoint},
		schema.Choice("method", "POST", "POST", "PUT", "PATCH"),
		schema.Choice("content_type", "application/json", "application/json", "application/json; charset=utf-8"),
		{Name: "timeout", Type: schema.Number, Default: 10000.0}, {Name: "keepalive", Type: schema.Number, Default: 60000.0},
		{Name: "headers", Type: schema.Map, Keys: &schema.Field{Type: schema.String, Check: checkLogHeader},
			Values: &schema.Field{Type: schema.String}},
		{Name: "queue", Type: schema.Record, Fields: queueFields},
	},
	New: func(config map[string]any) any { return newSender(config) },
}

var queueFields = []schema.Field{
	schema.Int("max_batch_size", 1.0, 1, 1000000),
	{Name: "max_coalescing_delay", Type: schema.Number, Default: 1.0, Between: schema.Between(0, 3600)},
	schema.Int("max_entries", 10000.0, 1, 1000000),
	{Name: "max_bytes", Type: schema.Integer},
	{Name: "max_retry_time", Type: schema.Number, Default: 60.0},
	{Name: "initial_retry_delay", Type: schema.Number, Default: 0.01, Between: schema.Between(0.001, 1000000)},
	{Name: "max_retry_delay", Type: schema.Number, Default: 60.0, Between: schema.Between(0.001, 1000000)},
	{Name: "concurrency_limit", Type: schema.Integer, Default: 1.0, OneOf: schema.Numbers(-1, 1)},
}

func checkEndpoint(v any) string {
	u, err := url.Parse(v.(string))
	if err != nil || u.Host == "" {
		return "missing host in url"
	}
	if u.Scheme != "http" && u.Scheme != "https" {
		return "missing scheme in url"
	}
	return ""
}

func checkLogHeader(v any) string {
	for _, name := range []string{"Host", "Content-Length", "Content-Type"} {
		if strings.EqualFold(v.(string), name) {
			return "cannot contain '" + name + "' header"
		}
	}
	return schema.CheckHeaderName(v)
}

// sender sends entries in batches from a queue; it drops the oldest when the queue is full.
type sender struct {
	endpoint, method, contentType  string
	headers                        map[string]any
	client                         *http.Client
	batch, capacity                int
	delay                          time.Duration
	retryFor, retryFirst, retryMax time.Duration

	mu      sync.Mutex
	entries [][]byte
	wake    chan struct{}
	closed  chan struct{}
	once    sync.Once
}

func newSender(config map[string]any) *sender {
	queue := record(config, "queue")
	seconds := func(name string) time.Duration { return time.Duration(num(queue, name) * float64(time.Second)) }
	p := &sender{
		endpoint: str(config, "http_endpoint"), method: str(config, "method"), contentType: str(config, "content_type"),
		headers: record(config, "headers"), client: &http.Client{Timeout: time.Duration(num(config, "timeout")) * time.Millisecond},
		batch: int(num(queue, "max_batch_size")), capacity: int(num(queue, "max_entries")),
		delay: seconds("max_coalescing_delay"), retryFor: seconds("max_retry_time"),
		retryFirst: seconds("initial_retry_delay"), retryMax: seconds("max_retry_delay"),
		wake: make(chan struct{}, 1), closed: make(chan struct{}),
	}
	go p.run()
	return p
}

// Close ends the sending; what waits is lost, as with the original's reload.
func (p *sender) Close() { p.once.Do(func() { close(p.closed) }) }

func (p *sender) Log(x *Exchange) {
	text, err := json.Marshal(serialize(x))
	if err != nil {
		return
	}
	p.mu.Lock()
	if len(p.entries) >= p.capacity {
		p.entries = p.entries[1:]
		slog.Error("queue full, dropping old entries until processing is successful again", "endpoint", p.endpoint)
	}
	p.entries = append(p.entries, text)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

func (p *sender) run() {
	for {
		select {
		case <-p.closed:
			return
		case <-p.wake:
		}
		if p.batch > 1 && !p.pause(p.delay) {
			return
		}
		for batch := p.take(); len(batch) > 0; batch = p.take() {
			p.deliver(batch)
		}
	}
}

// pause waits; false when the sender was closed meanwhile.
func (p *sender) pause(d time.Duration) bool {
	select {
	case <-p.closed:
		return false
	case <-time.After(d):
		return true
	}
}

func (p *sender) take() [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(p.batch, len(p.entries))
	batch := p.entries[:n:n]
	p.entries = p.entries[n:]
	return batch
}

// deliver tries until it worked or the time for it is over.
func (p *sender) deliver(batch [][]byte) {
	body := batch[0]
	if p.batch > 1 {
		body = append(append([]byte("["), bytes.Join(batch, []byte(","))...), ']')
	}
	deadline, wait := time.Now().Add(p.retryFor), p.retryFirst
	for {
		err := p.send(body)
		if err == nil {
			return
		}
		if time.Now().Add(wait).After(deadline) || !p.pause(wait) {
			slog.Error("could not send log entries", "entries", len(batch), "error", err)
			return
		}
		wait = min(2*wait, p.retryMax)
	}
}

func (p *sender) send(body []byte) error {
	request, err := http.NewRequest(p.method, p.endpoint, bytes.NewReader(body))
	if err != nil {
		return err
	}
	for name, value := range p.headers {
		request.Header.Set(name, fmt.Sprint(value))
	}
	request.Header.Set("Content-Type", p.contentType)
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, response.Body)
	if response.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("status code %d", response.StatusCode)
	}
	return nil
}
