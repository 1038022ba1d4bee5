package plugin

import (
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// countOne is the original's script: it counts and tells how many there were before. A key lives for one window.
const countOne = `
local cache_key, expiration = KEYS[1], ARGV[1]
local result_incr = redis.call("incr", cache_key)
if result_incr == 1 then
  redis.call("expire", cache_key, expiration)
end

return result_incr - 1
`

// redisCounter counts where all gateways see it.
type redisCounter struct{ *sharedRedis }

func (c *redisCounter) count(keys []string, limits []limit) ([]float64, error) {
	ctx, cancel := c.deadline()
	defer cancel()
	used := make([]float64, len(keys))
	if len(keys) == 1 {
		n, err := c.Eval(ctx, countOne, keys, limits[0].seconds).Int64()
		used[0] = float64(n)
		return used, err
	}
	pipe := c.Pipeline()
	results := make([]*redis.Cmd, len(keys))
	for i, key := range keys {
		results[i] = pipe.Eval(ctx, countOne, []string{key}, limits[i].seconds)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, err
	}
	for i, result := range results {
		n, err := result.Int64()
		if err != nil {
			return nil, err
		}
		used[i] = float64(n)
	}
	return used, nil
}

// undo does nothing: in Redis refused requests count as well, as they do in the original.
func (c *redisCounter) undo([]string) {}

func (c *redisCounter) close() { c.release() }

// localCounters counts in this process.
type localCounters struct {
	mu      sync.Mutex
	entries map[string]*localCount
	sweepAt int
	now     func() time.Time
}

type localCount struct {
	n       float64
	expires time.Time
}

// firstSweep is how many counters there may be until old ones are looked for.
const firstSweep = 1024

func newLocalCounters() *localCounters {
	return &localCounters{entries: map[string]*localCount{}, sweepAt: firstSweep, now: time.Now}
}

func (c *localCounters) count(keys []string, limits []limit) ([]float64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	used := make([]float64, len(keys))
	for i, key := range keys {
		e := c.entries[key]
		if e == nil || now.After(e.expires) {
			e = &localCount{expires: now.Add(time.Duration(limits[i].seconds) * time.Second)}
			c.entries[key] = e
		}
		used[i] = e.n
		e.n++
	}
	c.sweep(now)
	return used, nil
}

// sweep keeps the table as small as what is still counted.
func (c *localCounters) sweep(now time.Time) {
	if len(c.entries) < c.sweepAt {
		return
	}
	for key, e := range c.entries {
		if now.After(e.expires) {
			delete(c.entries, key)
		}
	}
	c.sweepAt = max(firstSweep, 2*len(c.entries))
}

func (c *localCounters) undo(keys []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		if e := c.entries[key]; e != nil {
			e.n--
		}
	}
}

func (c *localCounters) close() {}
