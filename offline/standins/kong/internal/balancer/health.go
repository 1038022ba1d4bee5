package balancer

import "sync"

// Outcome is what a probe or a proxied request tells about an address.
type Outcome int

// The outcomes that are counted.
const (
	Success Outcome = iota
	TCPFailure
	Timeout
	HTTPFailure
	outcomes
)

// Thresholds are the counts that change an address's health; 0: never.
type Thresholds [outcomes]int

// Monitor is the health of one address: a state and a counter per outcome.
// Active and passive checks share it.
type Monitor struct {
	mu        sync.Mutex
	unhealthy bool
	counts    [outcomes]int
}

// Healthy tells the state.
func (m *Monitor) Healthy() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !m.unhealthy
}

// Force sets the state and starts counting anew.
func (m *Monitor) Force(healthy bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.unhealthy, m.counts = !healthy, [outcomes]int{}
}

// Report counts an outcome. Successes count while the address is unhealthy
// and clear failures while it is healthy; failures the other way round. A
// threshold of 0 switches its outcome off, also the clearing.
func (m *Monitor) Report(o Outcome, limits Thresholds) (changed bool) {
	if limits[o] == 0 {
		return false
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	good := o == Success
	if good {
		m.counts[TCPFailure], m.counts[Timeout], m.counts[HTTPFailure] = 0, 0, 0
	} else {
		m.counts[Success] = 0
	}
	if good != m.unhealthy { // already in the state this outcome leads to
		return false
	}
	m.counts[o]++
	if m.counts[o] < limits[o] {
		return false
	}
	m.unhealthy, m.counts = !good, [outcomes]int{}
	return true
}
