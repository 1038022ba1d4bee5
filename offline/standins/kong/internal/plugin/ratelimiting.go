package plugin

import (
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"nexus/standins/kong/internal/store"
)

// limit is how many requests a window allows.
type limit struct {
	period
	allowed float64
}

// counter adds one to each window and tells how many there were before.
type counter interface {
	count(keys []string, limits []limit) ([]float64, error)
	// undo takes back what a refused request has counted, where refused ones do not count.
	undo(keys []string)
	close()
}

type limiter struct {
	counter
	limits             []limit
	by, header, path   string
	tolerant, hide     bool
	code               int
	message            string
	routeID, serviceID string
}

// emptyUUID stands for "any" in the counters' names.
const emptyUUID = "00000000-0000-0000-0000-000000000000"

func newLimiter(shared *Shared, config map[string]any) *limiter {
	p := &limiter{
		by: str(config, "limit_by"), header: str(config, "header_name"), path: str(config, "path"),
		tolerant: flag(config, "fault_tolerant"), hide: flag(config, "hide_client_headers"),
		code: int(num(config, "error_code")), message: str(config, "error_message"),
		routeID: emptyUUID, serviceID: emptyUUID,
	}
	for _, window := range periods {
		if allowed, set := config[window.name].(float64); set {
			p.limits = append(p.limits, limit{window, allowed})
		}
	}
	if str(config, "policy") == "redis" {
		p.counter = &redisCounter{shared.redis.open(record(config, "redis"))}
	} else {
		p.counter = shared.counters
	}
	return p
}

// Bind takes the scope into the counters' names, so that plugins count apart.
func (p *limiter) Bind(entity map[string]any) {
	if id := store.Foreign(entity, "route"); id != "" {
		p.routeID = id
	}
	if id := store.Foreign(entity, "service"); id != "" {
		p.serviceID = id
	}
}

// Close gives the connection to Redis back.
func (p *limiter) Close() { p.close() }

func (p *limiter) Access(x *Exchange) {
	now := time.Now()
	keys := make([]string, len(p.limits))
	for i, l := range p.limits {
		keys[i] = "ratelimit:" + p.routeID + ":" + p.serviceID + ":" + p.identifier(x) + ":" +
			strconv.FormatInt(l.start(now).UnixMilli(), 10) + ":" + l.name
	}
	used, err := p.count(keys, p.limits)
	if err != nil {
		slog.Error("failed to get usage", "error", err)
		if !p.tolerant {
			x.Refuse(http.StatusInternalServerError, "An unexpected error occurred")
		}
		return
	}
	stop := -1
	for i, l := range p.limits {
		if l.allowed-used[i] <= 0 {
			stop = i
		}
	}
	reset := p.tell(x, now, used, stop)
	if stop < 0 {
		return
	}
	p.undo(keys)
	if !p.hide {
		x.SetHeader("Retry-After", strconv.FormatInt(reset, 10))
	}
	x.Refuse(p.code, p.message)
}

// identifier is whose requests are counted.
func (p *limiter) identifier(x *Exchange) string {
	id := ""
	switch p.by {
	case "service":
		id = store.ID(x.Service)
	case "consumer":
		if id = store.ID(x.Consumer); id == "" {
			id = store.ID(x.Credential)
		}
	case "credential":
		id = store.ID(x.Credential)
	case "header":
		id = x.Request.Header.Get(p.header)
	case "path":
		if x.Request.URL.Path == p.path {
			id = p.path
		}
	}
	if id == "" {
		return x.ClientIP
	}
	return id
}

// tell sets the headers; the window with the least left is the one that RateLimit-* speaks of.
func (p *limiter) tell(x *Exchange, now time.Time, used []float64, stop int) (reset int64) {
	least, tightest := 0.0, -1
	for i, l := range p.limits {
		left := l.allowed - used[i]
		if stop < 0 || stop == i {
			left--
		}
		left = max(left, 0)
		if tightest < 0 || left < least || (left == least && l.seconds > p.limits[tightest].seconds) {
			least, tightest = left, i
			reset = max(1, l.seconds-(now.Unix()-l.start(now).Unix()))
		}
		if !p.hide {
			x.SetHeader("X-RateLimit-Limit-"+l.header, decimal(l.allowed))
			x.SetHeader("X-RateLimit-Remaining-"+l.header, decimal(left))
		}
	}
	if !p.hide {
		x.SetHeader("RateLimit-Limit", decimal(p.limits[tightest].allowed))
		x.SetHeader("RateLimit-Remaining", decimal(least))
		x.SetHeader("RateLimit-Reset", strconv.FormatInt(reset, 10))
	}
	return reset
}

func decimal(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }
