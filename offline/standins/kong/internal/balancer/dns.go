package balancer

import (
	"context"
	"net"
	"net/netip"
	"sort"
	"sync"
	"time"
)

const (
	fresh    = 2 * time.Second  // an answer is used without asking again
	usable   = 30 * time.Second // an answer is used while asking again in the background
	negative = time.Second      // a failure is remembered
	lookup   = 3 * time.Second  // time for one question
)

// Resolver answers host names from a short-lived cache: containers that come
// back may have another address.
type Resolver struct {
	mu      sync.Mutex
	entries map[string]*answer
	ask     func(ctx context.Context, host string) ([]string, error)
}

type answer struct {
	ips     []string
	at      time.Time
	err     error
	running chan struct{} // closed when the question in flight is answered
}

// NewResolver asks the system's name servers.
func NewResolver() *Resolver {
	return &Resolver{entries: map[string]*answer{}, ask: func(ctx context.Context, host string) ([]string, error) {
		return net.DefaultResolver.LookupHost(ctx, host)
	}}
}

// Resolve returns the addresses of host; it may wait for the name server.
func (r *Resolver) Resolve(host string) ([]string, error) {
	if _, err := netip.ParseAddr(host); err == nil {
		return []string{host}, nil
	}
	r.mu.Lock()
	e := r.entries[host]
	if e == nil {
		e = &answer{}
		r.entries[host] = e
	}
	age := time.Since(e.at)
	switch {
	case e.err == nil && len(e.ips) > 0 && age < fresh, e.err != nil && age < negative:
		defer r.mu.Unlock()
		return e.ips, e.err
	case e.err == nil && len(e.ips) > 0 && age < usable:
		r.start(host, e)
		defer r.mu.Unlock()
		return e.ips, nil
	}
	wait := r.start(host, e)
	r.mu.Unlock()
	<-wait
	r.mu.Lock()
	defer r.mu.Unlock()
	return e.ips, e.err
}

// Forget makes the next Resolve ask again, after a connection failed.
func (r *Resolver) Forget(host string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if e := r.entries[host]; e != nil && e.err == nil {
		e.at = time.Time{}
	}
}

// start asks, unless a question is in flight. The lock is held.
func (r *Resolver) start(host string, e *answer) chan struct{} {
	if e.running != nil {
		return e.running
	}
	done := make(chan struct{})
	e.running = done
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), lookup)
		defer cancel()
		ips, err := r.ask(ctx, host)
		sort.Strings(ips)
		r.mu.Lock()
		defer r.mu.Unlock()
		e.at, e.running = time.Now(), nil
		if err == nil {
			e.ips, e.err = preferIPv4(ips), nil
		} else if e.err = err; !isNotFound(err) && len(e.ips) > 0 {
			e.err = nil // a silent name server does not take known addresses away
		}
		close(done)
	}()
	return done
}

// preferIPv4 avoids trying two address families of one server.
func preferIPv4(ips []string) []string {
	v4 := []string{}
	for _, ip := range ips {
		if addr, err := netip.ParseAddr(ip); err == nil && addr.Is4() {
			v4 = append(v4, ip)
		}
	}
	if len(v4) > 0 {
		return v4
	}
	return ips
}

func isNotFound(err error) bool {
	dns, ok := err.(*net.DNSError) //nolint:errorlint // returned unwrapped
	return ok && dns.IsNotFound
}
