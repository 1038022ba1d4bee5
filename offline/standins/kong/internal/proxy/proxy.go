// Package proxy is the data path: route, plugins, upstream, response.
package proxy

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync/atomic"
	"time"

	"nexus/standins/kong/internal/balancer"
	"nexus/standins/kong/internal/conf"
	"nexus/standins/kong/internal/plugin"
	"nexus/standins/kong/internal/router"
	"nexus/standins/kong/internal/schema"
	"nexus/standins/kong/internal/store"
)

// Proxy serves one gateway's traffic.
type Proxy struct {
	Config *conf.Config
	Pools  *balancer.Pools

	registry *plugin.Registry
	cache    *plugin.Cache
	table    atomic.Pointer[table]
	reverse  *httputil.ReverseProxy
	served   atomic.Uint64
	log      *accessLog
}

// table is everything derived from one snapshot.
type table struct {
	state      *store.State
	router     *router.Router
	chain      *plugin.Chain
	transports *transports
}

// New prepares a proxy; access receives one JSON line per request.
func New(config *conf.Config, registry *plugin.Registry, access io.Writer) *Proxy {
	p := &Proxy{
		Config: config, Pools: balancer.NewPools(), registry: registry, cache: plugin.NewCache(), log: newAccessLog(access),
	}
	p.reverse = &httputil.ReverseProxy{
		Rewrite: p.rewrite, Transport: roundTripper{p}, FlushInterval: -1,
		ModifyResponse: p.filter, ErrorHandler: p.failed, BufferPool: &buffers{},
		ErrorLog: log.New(io.Discard, "", 0), // the access log tells
	}
	return p
}

// Update follows a new snapshot of the entities.
func (p *Proxy) Update(st *store.State) {
	old := p.table.Load()
	next := &table{
		state: st, router: router.Build(st, p.Config.Flavor), chain: plugin.Build(p.registry, st, p.cache),
		transports: newTransports(st, p.Config),
	}
	if old != nil {
		next.transports.adopt(old.transports)
	}
	p.Pools.Update(st)
	p.table.Store(next)
}

// Served counts the requests answered so far.
func (p *Proxy) Served() uint64 { return p.served.Load() }

// flight is one request in the proxy.
type flight struct {
	plugin.Exchange
	table    *table
	match    *router.Match
	writer   *recorder
	sent     time.Time // when the upstream was first contacted
	answered time.Time // when its headers arrived
	tries    []string
	peer     string
	hash     string
}

type flightKey struct{}

func flightOf(ctx context.Context) *flight { return ctx.Value(flightKey{}).(*flight) }

func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := p.begin(w, r)
	defer p.end(f)
	if !p.route(f) || p.refused(f) {
		p.respond(f)
		return
	}
	f.table.chain.Access(&f.Exchange)
	if !f.Ended() && f.Service == nil {
		f.Fail(http.StatusServiceUnavailable, "no Service found with those values")
	}
	if f.Ended() {
		p.respond(f)
		return
	}
	ctx := context.WithValue(r.Context(), flightKey{}, f)
	p.reverse.ServeHTTP(f.writer, f.Request.WithContext(ctx))
}

func (p *Proxy) begin(w http.ResponseWriter, r *http.Request) *flight {
	f := &flight{table: p.table.Load(), writer: &recorder{ResponseWriter: w}}
	x := &f.Exchange
	x.ID, x.Start, x.Request, x.Scheme = newID(), time.Now(), r, "http"
	if r.TLS != nil {
		x.Scheme = "https"
	}
	x.Host = strings.ToLower(hostOnly(r.Host))
	if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		x.ServerIP, x.Port = local.IP.String(), local.Port
	}
	x.ClientIP = p.clientIP(r)
	return f
}

// route finds the route and answers 404 when there is none.
func (p *Proxy) route(f *flight) bool {
	r := f.Request
	request := &router.Request{
		Method: r.Method, Host: f.Host, Port: f.Port, Header: r.Header,
		Path: schema.NormalizePath(r.URL.EscapedPath()), TLS: r.TLS != nil,
	}
	if r.TLS != nil {
		request.SNI = r.TLS.ServerName
	}
	f.match = f.table.router.Find(request)
	if f.match == nil {
		f.Fail(http.StatusNotFound, "no Route matched with those values")
		return false
	}
	f.Route, f.Service, f.Capture = f.match.Route, f.match.Service, f.match.Capture
	return true
}

// refused answers plain requests to routes for https only, and too large ones.
func (p *Proxy) refused(f *flight) bool {
	protocols, _ := f.Route["protocols"].([]any)
	if has(protocols, "https") && !has(protocols, "http") && p.forwarded(f).proto != "https" {
		status := int(f.Route["https_redirect_status_code"].(float64))
		if status == http.StatusUpgradeRequired {
			f.SetHeader("Connection", "Upgrade")
			f.SetHeader("Upgrade", "TLS/1.2, HTTP/1.1")
			f.Fail(status, "Please use HTTPS protocol")
			return true
		}
		f.SetHeader("Location", "https://"+p.forwarded(f).host+f.Request.URL.RequestURI())
		f.Exit(status, nil, "")
		return true
	}
	if limit := p.Config.ClientMaxBody; limit > 0 {
		if f.Request.ContentLength > limit {
			f.Fail(http.StatusRequestEntityTooLarge, "Payload too large")
			return true
		}
		f.Request.Body = http.MaxBytesReader(f.writer, f.Request.Body, limit)
	}
	return false
}

func (p *Proxy) end(f *flight) {
	p.served.Add(1)
	f.Outcome = f.outcome(time.Now())
	f.table.chain.Log(&f.Exchange)
	p.log.write(f)
}

// outcome sums up what became of the request.
func (f *flight) outcome(now time.Time) plugin.Outcome {
	ms := func(d time.Duration) float64 { return float64(d.Milliseconds()) }
	o := plugin.Outcome{
		Status: f.writer.status, Sent: f.writer.bytes, Peers: f.tries,
		Duration: float64(now.Sub(f.Start).Microseconds()) / 1000, Upstream: -1, Kong: ms(now.Sub(f.Start)),
	}
	if f.Response != nil {
		o.Sent += headerSize(f.Response.Header)
	}
	if !f.answered.IsZero() {
		o.Upstream, o.Kong = ms(f.answered.Sub(f.sent)), ms(f.sent.Sub(f.Start))
	}
	return o
}

// headerSize is about what a response's header takes on the wire, in bytes.
func headerSize(h http.Header) int64 {
	size := int64(len("HTTP/1.1 200 OK\r\n\r\n"))
	for name, values := range h {
		for _, value := range values {
			size += int64(len(name) + len(value) + len(": \r\n"))
		}
	}
	return size
}

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

func hostOnly(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		return h
	}
	return host
}

func has(items []any, s string) bool {
	for _, item := range items {
		if item == s {
			return true
		}
	}
	return false
}
