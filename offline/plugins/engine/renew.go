package engine

import "time"

// age notes in the state whether it is time to replace what ends by itself.
func (r *Row) age(state values, now time.Time) {
	if r.Renew == nil {
		return
	}
	ends, _ := state[r.Renew.Ends].(float64)
	before, _ := state[r.Renew.Before].(float64)
	state[r.Renew.Pending] = ends > 0 && float64(now.Unix()) >= ends-before
}
