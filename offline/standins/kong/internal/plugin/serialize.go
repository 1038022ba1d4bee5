package plugin

import (
	"net/http"
	"strings"
)

// serialize is the document that logging plugins send, in the original's form.
func serialize(x *Exchange) map[string]any {
	o, r := x.Outcome, x.Request
	tries := make([]any, 0, len(o.Peers))
	for _, peer := range o.Peers {
		ip, port, _ := strings.Cut(peer, ":")
		tries = append(tries, map[string]any{"ip": ip, "port": port})
	}
	doc := map[string]any{
		"request": map[string]any{
			"id": x.ID, "uri": r.RequestURI, "url": x.Scheme + "://" + r.Host + r.RequestURI, "method": r.Method,
			"querystring": r.URL.Query(), "headers": plainHeaders(r.Header), "size": requestSize(r),
		},
		"response":  map[string]any{"status": o.Status, "size": o.Sent},
		"latencies": map[string]any{"kong": o.Kong, "proxy": o.Upstream, "request": o.Duration},
		"tries":     tries, "client_ip": x.ClientIP, "started_at": x.Start.UnixMilli(),
		"source": source(x), "workspace_name": "default",
	}
	if x.Response != nil {
		doc["response"].(map[string]any)["headers"] = plainHeaders(x.Response.Header)
	}
	for name, e := range map[string]map[string]any{"route": x.Route, "service": x.Service, "consumer": x.Consumer} {
		if e != nil {
			doc[name] = e
		}
	}
	if x.Credential != nil {
		doc["authenticated_entity"] = map[string]any{"id": x.Credential["id"], "consumer_id": x.Consumer["id"]}
	}
	for name, value := range x.LogFields {
		doc[name] = value
	}
	return doc
}

func source(x *Exchange) string {
	if x.Proxied {
		return "upstream"
	}
	return "kong"
}

// plainHeaders are headers in lower case, without what authenticates.
func plainHeaders(h http.Header) map[string]any {
	out := make(map[string]any, len(h))
	for name, values := range h {
		out[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	for _, name := range []string{"authorization", "proxy-authorization"} {
		if out[name] != nil {
			out[name] = "REDACTED"
		}
	}
	return out
}

// requestSize is about what the request took on the wire, in bytes.
func requestSize(r *http.Request) int64 {
	size := int64(len(r.Method) + len(r.RequestURI) + len(r.Proto) + len(r.Host) + 14)
	for name, values := range r.Header {
		for _, value := range values {
			size += int64(len(name) + len(value) + 4)
		}
	}
	return size + max(0, r.ContentLength)
}
