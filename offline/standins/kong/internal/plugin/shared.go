package plugin

import "crypto/x509"

// Shared is what instances of plugins have in common: counters, cached responses, metrics, connections.
type Shared struct {
	Metrics   *Metrics
	Responses *Responses
	counters  *localCounters
	redis     *redisPools
}

// NewShared starts empty. dictionaries says how many bytes each memory for responses may hold, roots what servers are
// checked by.
func NewShared(dictionaries map[string]int64, roots *x509.CertPool) *Shared {
	return &Shared{
		Metrics: newMetrics(), Responses: newResponses(dictionaries), counters: newLocalCounters(), redis: newRedisPools(roots),
	}
}
