package plugin

import (
	"container/list"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// maxCached is the largest body that is kept, in bytes.
const maxCached = 1 << 20

// Cached is a kept response, as the Admin API shows it.
type Cached struct {
	Status    int         `json:"status"`
	Headers   http.Header `json:"headers"`
	Body      string      `json:"body"`
	BodyLen   int         `json:"body_len"`
	Timestamp int64       `json:"timestamp"`
	TTL       int64       `json:"ttl"`
	Version   int         `json:"version"`
}

// Responses keeps responses in memories of limited size; what was not used for longest goes first.
type Responses struct {
	mu       sync.Mutex
	memories map[string]*memory
}

type memory struct {
	limit, used int64
	entries     map[string]*list.Element
	order       *list.List // most recently used first
}

type keptEntry struct {
	key     string
	value   *Cached
	size    int64
	expires time.Time
}

func newResponses(limits map[string]int64) *Responses {
	r := &Responses{memories: map[string]*memory{}}
	for name, limit := range limits {
		r.memories[name] = &memory{limit: limit, entries: map[string]*list.Element{}, order: list.New()}
	}
	return r
}

func (r *Responses) has(dictionary string) bool { return r.memories[dictionary] != nil }

// Get finds a response in one memory, or in any of them ("").
func (r *Responses) Get(dictionary, key string) *Cached {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, m := range r.memories {
		if dictionary != "" && name != dictionary {
			continue
		}
		element := m.entries[key]
		if element == nil {
			continue
		}
		e := element.Value.(*keptEntry)
		if time.Now().After(e.expires) {
			m.remove(element)
			continue
		}
		m.order.MoveToFront(element)
		return e.value
	}
	return nil
}

func (r *Responses) put(dictionary, key string, value *Cached, life time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.memories[dictionary]
	if old := m.entries[key]; old != nil {
		m.remove(old)
	}
	e := &keptEntry{key, value, int64(len(value.Body) + len(key) + 512), time.Now().Add(life)}
	for name, values := range value.Headers {
		e.size += int64(len(name) + len(strings.Join(values, "")))
	}
	m.entries[key] = m.order.PushFront(e)
	m.used += e.size
	for m.used > m.limit && m.order.Len() > 0 {
		m.remove(m.order.Back())
	}
}

func (m *memory) remove(element *list.Element) {
	e := m.order.Remove(element).(*keptEntry)
	delete(m.entries, e.key)
	m.used -= e.size
}

// Purge forgets one response, in one memory or ("") wherever it is.
func (r *Responses) Purge(dictionary, key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for name, m := range r.memories {
		if element := m.entries[key]; element != nil && (dictionary == "" || name == dictionary) {
			m.remove(element)
		}
	}
}

// Flush forgets all of a memory.
func (r *Responses) Flush(dictionary string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.memories[dictionary]; m != nil {
		m.entries, m.used = map[string]*list.Element{}, 0
		m.order.Init()
	}
}

// overwritable leaves out what belongs to one connection or one client.
func overwritable(header string) bool {
	switch lower := strings.ToLower(header); lower {
	case "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailers",
		"transfer-encoding", "upgrade", "content-length":
		return false
	default:
		return !strings.Contains(lower, "ratelimit-remaining")
	}
}

// cacheControl is a parsed Cache-Control header.
type cacheControl map[string]string

func directives(values []string) cacheControl {
	out := cacheControl{}
	for _, item := range strings.Split(strings.Join(values, ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(item), "=")
		if name != "" {
			out[strings.ToLower(name)] = value
		}
	}
	return out
}

func (c cacheControl) has(name string) bool { _, ok := c[name]; return ok }

func (c cacheControl) seconds(name string) (int64, bool) {
	n, err := strconv.ParseInt(c[name], 10, 64)
	return n, err == nil
}

// lifetime is how long a response says that it is fresh.
func (c cacheControl) lifetime(h http.Header) int64 {
	for _, name := range []string{"s-maxage", "max-age"} {
		if n, ok := c.seconds(name); ok {
			return max(0, n)
		}
	}
	if at, err := http.ParseTime(h.Get("Expires")); err == nil {
		return max(0, int64(time.Until(at).Seconds()))
	}
	return 0
}
