package plugin

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"

	"nexus/standins/kong/internal/store"
)

// key names a response: by who asks, the route, and what is asked for.
func (p *cacher) key(x *Exchange) string {
	prefix, consumer, route := "default", store.ID(x.Consumer), store.ID(x.Route)
	switch {
	case consumer != "" && route != "":
		prefix = consumer + ":" + route
	case route != "":
		prefix = route
	}
	r := x.Request
	uri, _, _ := strings.Cut(r.Method+" "+r.RequestURI, "?")
	uri += " " + r.Proto
	if p.lower {
		uri = strings.ToLower(uri)
	}
	query := r.URL.Query()
	names := p.params
	if len(names) == 0 {
		for name := range query {
			names = append(names, name)
		}
		sort.Strings(names)
	}
	sum := sha256.Sum256([]byte(strings.Join([]string{
		prefix, r.Method, uri, parts(names, query), parts(p.headers, headerValues(r.Header, p.headers)),
	}, "|")))
	return hex.EncodeToString(sum[:])
}

func headerValues(h http.Header, names []string) url.Values {
	out := url.Values{}
	for _, name := range names {
		out[name] = h.Values(name)
	}
	return out
}

func parts(names []string, values url.Values) string {
	out := []string{}
	for _, name := range names {
		if found := slices.Clone(values[name]); len(found) > 0 {
			sort.Strings(found)
			out = append(out, name+"="+strings.Join(found, ","))
		}
	}
	return strings.Join(out, ":")
}

// kept hands the body over once all of it was read.
type kept struct {
	io.ReadCloser
	body bytes.Buffer
	over bool
	done func([]byte)
}

func (k *kept) Read(b []byte) (int, error) {
	n, err := k.ReadCloser.Read(b)
	if k.over = k.over || k.body.Len()+n > maxCached; !k.over {
		k.body.Write(b[:n])
	} else {
		k.body = bytes.Buffer{}
	}
	if err == io.EOF && !k.over && k.done != nil {
		k.done(k.body.Bytes())
		k.done = nil
	}
	return n, err
}
