package proxy

import (
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"

	"nexus/standins/kong/internal/balancer"
	"nexus/standins/kong/internal/conf"
	"nexus/standins/kong/internal/schema"
)

// forwarding is what earlier proxies said, where they are trusted.
type forwarding struct{ proto, host, port, path, prefix string }

func (p *Proxy) forwarded(f *flight) forwarding {
	out := forwarding{proto: f.Scheme, host: f.Host, port: strconv.Itoa(f.Port)}
	h := f.Request.Header
	if peer, _, _ := net.SplitHostPort(f.Request.RemoteAddr); p.Config.Trusted(peer) {
		out.path, out.prefix = h.Get("X-Forwarded-Path"), h.Get("X-Forwarded-Prefix")
		for into, name := range map[*string]string{
			&out.proto: "X-Forwarded-Proto", &out.host: "X-Forwarded-Host", &out.port: "X-Forwarded-Port",
		} {
			if v := h.Get(name); v != "" {
				*into = v
			}
		}
	}
	if out.path == "" {
		out.path = f.Request.URL.EscapedPath()
	}
	if out.prefix == "" && f.match != nil && f.match.Prefix != "/" {
		out.prefix = f.match.Prefix
	}
	return out
}

// clientIP is the peer, or what a trusted peer says in real_ip_header.
func (p *Proxy) clientIP(r *http.Request) string {
	peer, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	if !p.Config.Trusted(peer) {
		return peer
	}
	values := strings.Split(r.Header.Get(p.Config.RealIPHeader), ",")
	if ip := strings.TrimSpace(values[len(values)-1]); net.ParseIP(ip) != nil {
		return ip
	}
	return peer
}

// rewrite turns the client's request into the upstream's.
func (p *Proxy) rewrite(pr *httputil.ProxyRequest) {
	f := flightOf(pr.In.Context())
	in, out := pr.In, pr.Out
	forward := p.forwarded(f)
	peer, _, _ := net.SplitHostPort(in.RemoteAddr)
	h := out.Header
	if v, ok := in.Header["Forwarded"]; ok {
		h["Forwarded"] = v
	}
	chain := f.ClientIP
	if before := in.Header.Values("X-Forwarded-For"); len(before) > 0 {
		chain = strings.Join(before, ", ") + ", " + peer
	}
	via := "1.1 " + conf.ServerHeader
	if in.ProtoMajor == 2 {
		via = "2 " + conf.ServerHeader
	}
	if before := in.Header.Get("Via"); before != "" {
		via = before + ", " + via
	}
	for name, value := range map[string]string{
		"X-Forwarded-For": chain, "X-Forwarded-Proto": forward.proto, "X-Forwarded-Host": forward.host,
		"X-Forwarded-Port": forward.port, "X-Forwarded-Path": forward.path, "X-Forwarded-Prefix": forward.prefix,
		"X-Real-Ip": f.ClientIP, "Via": via, "X-Kong-Request-Id": f.ID,
	} {
		if value == "" {
			h.Del(name)
		} else {
			h.Set(name, value)
		}
	}
	h.Del("Proxy")
	path := f.UpstreamPath
	if path == "" {
		path = f.table.router.UpstreamPath(f.match, schema.NormalizePath(in.URL.EscapedPath()))
	}
	scheme, _ := f.Service["protocol"].(string)
	if scheme != "https" {
		scheme = "http"
	}
	// Opaque keeps the path byte by byte; the host is set for each attempt.
	out.URL = &url.URL{
		Scheme: scheme, Host: "upstream.invalid", Opaque: schema.EscapePath(path),
		RawQuery: in.URL.RawQuery, ForceQuery: in.URL.ForceQuery,
	}
}

// hashInput is the value consistent hashing goes by.
func (f *flight) hashInput(u *balancer.Upstream) string {
	e := u.Entity()
	if e["algorithm"] != "consistent-hashing" {
		return ""
	}
	if v := f.hashValue(e, "hash_on"); v != "" {
		return v
	}
	return f.hashValue(e, "hash_fallback")
}

func (f *flight) hashValue(e map[string]any, which string) string {
	param := func(name string) string { s, _ := e[which+name].(string); return s }
	switch e[which] {
	case "ip":
		return f.ClientIP
	case "header":
		return strings.Join(f.Request.Header.Values(param("_header")), ",")
	case "path":
		return f.Request.URL.Path
	case "query_arg":
		return strings.Join(f.Request.URL.Query()[param("_query_arg")], ",")
	case "consumer":
		if id, ok := f.Consumer["id"].(string); ok {
			return id
		}
		id, _ := f.Credential["id"].(string)
		return id
	case "uri_capture":
		return f.match.Capture(param("_uri_capture"))
	case "cookie":
		return f.hashCookie(e)
	}
	return ""
}

// hashCookie reads the cookie, or gives the client one.
func (f *flight) hashCookie(e map[string]any) string {
	name, _ := e["hash_on_cookie"].(string)
	if c, err := f.Request.Cookie(name); err == nil && c.Value != "" {
		return c.Value
	}
	path, _ := e["hash_on_cookie_path"].(string)
	value := schema.NewUUID()
	f.Exchange.SetHeader("Set-Cookie", (&http.Cookie{
		Name: name, Value: value, Path: path, SameSite: http.SameSiteLaxMode, HttpOnly: true,
	}).String())
	return value
}
