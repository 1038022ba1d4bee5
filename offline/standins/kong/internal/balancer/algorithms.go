package balancer

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
)

// smooth is weighted round-robin without bursts: everybody gains its weight,
// the richest is chosen and pays the total.
func smooth(candidates []*Address) *Address {
	var best *Address
	total := 0
	for _, a := range candidates {
		a.current += a.weight
		total += a.weight
		if best == nil || a.current > best.current {
			best = a
		}
	}
	best.current -= total
	return best
}

// leastConnections chooses the lowest load in relation to weight; ties go by chance.
func leastConnections(candidates []*Address) *Address {
	best, lowest, ties := candidates[0], math.Inf(1), 0
	for _, a := range candidates {
		load := float64(a.active.Load()+1) / float64(a.weight)
		switch {
		case load < lowest:
			best, lowest, ties = a, load, 1
		case load == lowest:
			ties++
			if rand.IntN(ties) == 0 { //nolint:gosec // balance, not secrecy
				best = a
			}
		}
	}
	return best
}

// rendezvous hashing: every address draws a number from the key, the highest
// (adjusted by weight) wins, so that a change moves only the keys it must.
func rendezvous(candidates []*Address, key string) *Address {
	if key == "" {
		return candidates[rand.IntN(len(candidates))] //nolint:gosec // balance, not secrecy
	}
	best, highest := candidates[0], math.Inf(-1)
	for _, a := range candidates {
		h := fnv.New64a()
		_, _ = h.Write([]byte(key + "\x00" + a.Key()))
		draw := (float64(mix(h.Sum64())>>11) + 0.5) / (1 << 53)
		if score := -float64(a.weight) / math.Log(draw); score > highest {
			best, highest = a, score
		}
	}
	return best
}

// mix spreads the bits of a hash (finalizer of splitmix64).
func mix(x uint64) uint64 {
	x ^= x >> 30
	x *= 0xbf58476d1ce4e5b9
	x ^= x >> 27
	x *= 0x94d049bb133111eb
	return x ^ x>>31
}
