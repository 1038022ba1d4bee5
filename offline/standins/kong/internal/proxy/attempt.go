package proxy

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"nexus/standins/kong/internal/balancer"
)

// roundTripper sends a request to the upstream, trying other addresses when
// one fails before anything irrevocable happened.
type roundTripper struct{ p *Proxy }

// peer is where one attempt goes.
type peer struct {
	ip, host string
	port     int
	address  *balancer.Address // nil without an upstream entity
}

func (t roundTripper) RoundTrip(out *http.Request) (*http.Response, error) {
	f := flightOf(out.Context())
	pool := t.p.Pools.Get(f.Service["host"].(string))
	if pool != nil {
		f.hash = f.hashInput(pool)
	}
	body, err := newBody(out, f.Route["request_buffering"] != false)
	if err != nil {
		return nil, err
	}
	retries, _ := f.Service["retries"].(float64)
	tried := map[*balancer.Address]bool{}
	for attempt := 0; ; attempt++ {
		to, err := t.p.choose(f, pool, tried)
		if err != nil {
			return nil, err
		}
		response, reached, err := t.p.attempt(f, out, to, body)
		if err == nil {
			if pool != nil {
				pool.Status(to.address, response.StatusCode)
			}
			return response, nil
		}
		if out.Context().Err() != nil {
			return nil, err // the client left; says nothing about the upstream
		}
		if pool != nil {
			tried[to.address] = true
			pool.Failed(to.address, outcome(err))
		} else {
			t.p.Pools.Resolver.Forget(to.host)
		}
		if attempt >= int(retries) || (reached && !(idempotent(out.Method) && body.replayable())) {
			return nil, err
		}
	}
}

func outcome(err error) balancer.Outcome {
	if isTimeout(err) {
		return balancer.Timeout
	}
	return balancer.TCPFailure
}

// idempotent methods may be sent twice.
func idempotent(method string) bool {
	return method != http.MethodPost && method != http.MethodPatch && method != "LOCK"
}

// choose picks the address of the next attempt.
func (p *Proxy) choose(f *flight, pool *balancer.Upstream, tried map[*balancer.Address]bool) (peer, error) {
	if pool != nil {
		a := pool.Pick(f.hash, tried)
		if a == nil {
			return peer{}, errNoPeer
		}
		host := a.Host
		if pool.HostHeader != "" {
			host = pool.HostHeader
		}
		return peer{a.IP, host, a.Port, a}, nil
	}
	host, port := f.Service["host"].(string), int(f.Service["port"].(float64))
	ips, err := p.Pools.Resolver.Resolve(host)
	if err != nil || len(ips) == 0 {
		return peer{}, errNoName
	}
	return peer{ips[rand.IntN(len(ips))], host, port, nil}, nil //nolint:gosec // balance, not secrecy
}

// attempt sends the request once. reached tells whether a connection was made.
func (p *Proxy) attempt(f *flight, out *http.Request, to peer, body *sendBody) (_ *http.Response, reached bool, _ error) {
	port := strconv.Itoa(to.port)
	serverName, _, err := net.SplitHostPort(to.host)
	if err != nil {
		serverName = to.host
	}
	transport, err := f.table.transports.get(f.Service, serverName)
	if err != nil {
		return nil, false, err
	}
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	request := out.WithContext(httptrace.WithClientTrace(out.Context(), trace))
	target := *out.URL
	target.Host = net.JoinHostPort(to.ip, port)
	request.URL, request.Body = &target, body.next()
	request.Host = f.Request.Host
	if f.Route["preserve_host"] != true {
		request.Host = hostHeader(to, target.Scheme, serverName != to.host)
	}
	if f.sent.IsZero() {
		f.sent = time.Now()
	}
	f.peer = target.Host
	f.tries = append(f.tries, target.Host)
	if to.address != nil {
		to.address.Begin()
	}
	response, err := transport.RoundTrip(request)
	f.answered = time.Now()
	if err != nil {
		if to.address != nil {
			to.address.End()
		}
		return nil, connected.Load(), err
	}
	response.Request = out
	if to.address != nil {
		response.Body = counted(response.Body, to.address)
	}
	return response, true, nil
}

// hostHeader names the server, with its port unless it is the scheme's own.
func hostHeader(to peer, scheme string, hasPort bool) string {
	host := to.host
	if addr, err := netip.ParseAddr(host); err == nil && addr.Is6() {
		host = "[" + host + "]"
	}
	if hasPort || (to.port == 80 && scheme == "http") || (to.port == 443 && scheme == "https") {
		return host
	}
	return host + ":" + strconv.Itoa(to.port)
}

// counted ends the address's request when the body is closed. An upgraded
// connection stays writable.
func counted(body io.ReadCloser, a *balancer.Address) io.ReadCloser {
	c := &countedBody{ReadCloser: body, end: sync.OnceFunc(a.End)}
	if w, ok := body.(io.ReadWriteCloser); ok {
		return &countedConn{countedBody: c, Writer: w}
	}
	return c
}

type countedBody struct {
	io.ReadCloser
	end func()
}

func (c *countedBody) Close() error {
	c.end()
	return c.ReadCloser.Close()
}

type countedConn struct {
	*countedBody
	io.Writer
}

// maxReplay is the largest body kept for another attempt, in bytes.
const maxReplay = 64 << 10

// sendBody gives each attempt its request body.
type sendBody struct {
	kept   []byte // the whole body, when known and small
	stream io.ReadCloser
	read   atomic.Bool
}

func newBody(r *http.Request, buffer bool) (*sendBody, error) {
	b := &sendBody{stream: r.Body}
	if r.Body == nil || r.Body == http.NoBody {
		b.stream = nil
	} else if buffer && r.ContentLength > 0 && r.ContentLength <= maxReplay {
		kept, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		b.kept = kept
	}
	return b, nil
}

func (b *sendBody) replayable() bool { return b.stream == nil || b.kept != nil || !b.read.Load() }

func (b *sendBody) next() io.ReadCloser {
	switch {
	case b.kept != nil:
		return io.NopCloser(bytes.NewReader(b.kept))
	case b.stream == nil:
		return nil
	}
	return &streamed{b}
}

// streamed reads the client's body; closing is left to the server, as a
// failed attempt must not end it.
type streamed struct{ b *sendBody }

func (s *streamed) Read(p []byte) (int, error) {
	s.b.read.Store(true)
	return s.b.stream.Read(p)
}

func (s *streamed) Close() error { return nil }
