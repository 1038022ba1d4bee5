package plugin

// Shared is what instances of plugins have in common: counters, cached responses, metrics, connections.
type Shared struct {
	Metrics   *Metrics
	Responses *Responses
	counters  *localCounters
	redis     *redisPools
}

// NewShared starts empty. dictionaries says how many bytes each memory for responses may hold.
func NewShared(dictionaries map[string]int64) *Shared {
	return &Shared{
		Metrics: newMetrics(), Responses: newResponses(dictionaries), counters: newLocalCounters(), redis: newRedisPools(),
	}
}
