// Package router finds the route of a request, in the original's order of
// priority: more kinds of criteria first, then plain hosts before wildcards,
// more headers, regular expressions by regex_priority, longer prefixes; the
// older route wins a tie.
package router

import (
	"net/http"
	"regexp"
	"sort"
	"strings"

	"nexus/standins/kong/internal/store"
)

// Request is what a route can look at.
type Request struct {
	Method string
	Host   string // lower case, without port
	Port   int    // the server's
	Path   string // normalized
	Header http.Header
	SNI    string // "" without TLS
	TLS    bool
}

// Match is the outcome.
type Match struct {
	Route, Service store.Entity // Service may be nil
	Prefix         string       // what the path criterion matched; "" when not stripped
	Captures       []string     // of a regular expression
	matched        string
	names          []string // of the captures
}

// Router is an immutable table of routes.
type Router struct {
	entries     []entry
	traditional bool
}

// entry is a route with at most one of its paths.
type entry struct {
	route, service store.Entity
	priority       uint64
	created        float64
	methods        map[string]bool
	hosts          []hostRule
	headers        []headerRule
	snis           []hostRule
	prefix         string
	regex          *regexp.Regexp
	strip          bool
}

// Build compiles the HTTP routes of a snapshot.
func Build(st *store.State, flavor string) *Router {
	r := &Router{traditional: flavor == "traditional"}
	for _, route := range st.List("routes") {
		service := st.Get("services", store.Foreign(route, "service"))
		if service != nil && service["enabled"] == false {
			continue
		}
		if !isHTTP(words(route["protocols"])) {
			continue
		}
		r.entries = append(r.entries, compile(route, service)...)
	}
	sort.SliceStable(r.entries, func(i, j int) bool {
		a, b := &r.entries[i], &r.entries[j]
		if a.priority != b.priority {
			return a.priority > b.priority
		}
		return a.created < b.created
	})
	return r
}

func isHTTP(protocols []string) bool {
	for _, p := range protocols {
		if p == "http" || p == "https" {
			return true
		}
	}
	return false
}

func compile(route, service store.Entity) []entry {
	base := entry{route: route, service: service, strip: route["strip_path"] == true}
	base.created, _ = route["created_at"].(float64)
	for _, m := range words(route["methods"]) {
		if base.methods == nil {
			base.methods = map[string]bool{}
		}
		base.methods[m] = true
	}
	plain := route["hosts"] != nil
	for _, h := range words(route["hosts"]) {
		base.hosts = append(base.hosts, newHostRule(h))
		plain = plain && !strings.Contains(h, "*")
	}
	for _, sni := range words(route["snis"]) {
		base.snis = append(base.snis, newHostRule(strings.TrimSuffix(sni, ".")))
	}
	base.headers = newHeaderRules(route["headers"])
	paths := words(route["paths"])
	if len(paths) == 0 {
		base.priority = base.rank(plain, 0)
		return []entry{base}
	}
	out := make([]entry, 0, len(paths))
	regexPriority, _ := route["regex_priority"].(float64)
	for _, path := range paths {
		e := base
		if expr, isRegex := strings.CutPrefix(path, "~"); isRegex {
			compiled, err := regexp.Compile("^(?:" + expr + ")")
			if err != nil {
				continue // refused by the Admin API
			}
			e.regex = compiled
		} else {
			e.prefix = path
		}
		e.priority = e.rank(plain, regexPriority)
		out = append(out, e)
	}
	return out
}

// rank packs the criteria into one number, most significant first: count of
// criteria, plain hosts, count of headers, regex, regex_priority, length.
func (e *entry) rank(plainHosts bool, regexPriority float64) uint64 {
	count := uint64(0)
	for _, used := range []bool{
		e.methods != nil, e.hosts != nil, e.headers != nil, e.snis != nil, e.prefix != "" || e.regex != nil,
	} {
		if used {
			count++
		}
	}
	p := count<<61 | uint64(min(len(e.headers), 255))<<52 | uint64(len(e.prefix))&0x7FFFF
	if plainHosts {
		p |= 1 << 60
	}
	if e.regex != nil {
		p |= 1<<51 | (uint64(int64(regexPriority)) & 0xFFFFFFFF << 19)
	}
	return p
}

// Find returns the first route that matches, or nil.
func (r *Router) Find(req *Request) *Match {
	for i := range r.entries {
		if m := r.entries[i].match(req); m != nil {
			return m
		}
	}
	return nil
}

func (e *entry) match(req *Request) *Match {
	if e.methods != nil && !e.methods[req.Method] {
		return nil
	}
	if e.hosts != nil && !anyHost(e.hosts, req.Host, req.Port) {
		return nil
	}
	matched, captures := "", []string(nil)
	switch {
	case e.regex != nil:
		found := e.regex.FindStringSubmatch(req.Path)
		if found == nil {
			return nil
		}
		matched, captures = found[0], found[1:]
	case e.prefix != "":
		if !strings.HasPrefix(req.Path, e.prefix) {
			return nil
		}
		matched = e.prefix
	}
	for i := range e.headers {
		if !e.headers[i].match(req.Header) {
			return nil
		}
	}
	// SNIs are no criterion on connections without TLS.
	if e.snis != nil && req.TLS && !anyHost(e.snis, strings.TrimSuffix(req.SNI, "."), 0) {
		return nil
	}
	m := &Match{Route: e.route, Service: e.service, Captures: captures, matched: matched}
	if e.regex != nil {
		m.names = e.regex.SubexpNames()
	}
	if e.strip {
		m.Prefix = matched
	}
	return m
}
