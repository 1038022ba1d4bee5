package plugin

import (
	"fmt"
	"time"

	"nexus/standins/kong/internal/schema"
)

// period is one of the windows that requests are counted in.
type period struct {
	name    string
	header  string
	seconds int64
}

var periods = []period{
	{"second", "Second", 1}, {"minute", "Minute", 60}, {"hour", "Hour", 3600}, {"day", "Day", 86400},
	{"month", "Month", 2592000}, {"year", "Year", 31536000},
}

// start is when the window that contains now began.
func (p period) start(now time.Time) time.Time {
	now = now.UTC()
	switch p.name {
	case "month":
		return time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	case "year":
		return time.Date(now.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
	}
	return now.Truncate(time.Duration(p.seconds) * time.Second)
}

func periodNames() []string {
	names := make([]string, len(periods))
	for i, p := range periods {
		names[i] = p.name
	}
	return names
}

func rateLimiting(shared *Shared) Definition {
	fields := []schema.Field{}
	for _, p := range periods {
		fields = append(fields, schema.Field{Name: p.name, Type: schema.Number, Positive: true})
	}
	fields = append(fields,
		schema.Choice("limit_by", "consumer", "consumer", "credential", "ip", "service", "header", "path"),
		schema.Field{Name: "header_name", Type: schema.String, Check: schema.CheckHeaderName},
		schema.Field{Name: "path", Type: schema.String, Check: schema.CheckPath},
		schema.Choice("policy", "local", "local", "cluster", "redis"),
		schema.Flag("fault_tolerant", true), redisFields(), schema.Flag("hide_client_headers", false),
		schema.Field{Name: "error_code", Type: schema.Number, Default: 429.0, Positive: true},
		schema.Field{Name: "error_message", Type: schema.String, Default: "API rate limit exceeded"},
		schema.Field{Name: "sync_rate", Type: schema.Number, Required: true, Default: -1.0},
	)
	return Definition{
		Name: "rate-limiting", Version: "3.9.1", Priority: 910, Config: fields, Valid: checkPeriods,
		Checks: []schema.EntityCheck{
			atLeastOne("config", periodNames()...),
			needs("policy", "redis", "redis", "host"), needs("policy", "redis", "redis", "port"),
			needs("policy", "redis", "redis", "timeout"),
			needs("limit_by", "header", "header_name"), needs("limit_by", "path", "path"),
		},
		New: func(config map[string]any) any { return newLimiter(shared, config) },
	}
}

// checkPeriods wants the longer windows to allow at least as much as the shorter ones.
func checkPeriods(v any) string {
	config := v.(map[string]any)
	for i, lower := range periods {
		for _, upper := range periods[i+1:] {
			a, isA := config[lower.name].(float64)
			b, isB := config[upper.name].(float64)
			if isA && isB && b < a {
				return fmt.Sprintf("The limit for %s(%.1f) cannot be lower than the limit for %s(%.1f)",
					upper.name, b, lower.name, a)
			}
		}
	}
	rate := num(config, "sync_rate")
	switch redis := str(config, "policy") == "redis"; {
	case !redis && rate != -1:
		return "sync_rate can only be used with the redis policy"
	case redis && rate != -1 && rate < 0.02:
		return "sync_rate must be greater than 0.02, or -1 to disable"
	}
	return ""
}

// needs wants a setting to be there when another one has a value.
func needs(given, value string, path ...string) schema.EntityCheck {
	return schema.EntityCheck{Label: "conditional", Run: func(entity map[string]any, errs *schema.Errors) {
		config := record(entity, "config")
		if str(config, given) != value {
			return
		}
		into := config
		for _, name := range path[:len(path)-1] {
			into = record(into, name)
		}
		if into[path[len(path)-1]] == nil {
			errs.SetPath("required field missing", append([]string{"config"}, path...)...)
			errs.Add("failed conditional validation given value of field 'config." + given + "'")
		}
	}}
}
