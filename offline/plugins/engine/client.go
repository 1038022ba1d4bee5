package engine

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	requestTimeout = 30 * time.Second // one request
	retryWindow    = 30 * time.Second // all attempts: a server that was just started answers within seconds
	firstPause     = 100 * time.Millisecond
	longestPause   = 2 * time.Second
	shownBody      = 2000          // characters of an error answer that are shown
	unreachable    = "unreachable" // the hint for a server that does not run
)

// client talks to one server.
type client struct {
	base    string
	headers map[string]string
	retry   []string
	hints   map[string]string
	http    *http.Client

	once  sync.Mutex // guards found
	found values     // answers to the provider's lookups
}

// answer is a response: its parsed JSON, or its text when it is none.
type answer struct {
	status int
	body   any
	text   string
	call   string
	hints  map[string]string
}

func newClient(server Server, config values) (*client, error) {
	in := scope{config: config, inputs: config}
	address := in.text(server.Address, nil)
	if !strings.Contains(address, "://") {
		scheme := in.text(server.Scheme, nil)
		if scheme == "" {
			scheme = "http"
		}
		address = scheme + "://" + address
	}
	c := &client{base: strings.TrimRight(address, "/"), headers: map[string]string{}, retry: server.Retry, found: values{}}
	c.hints = server.Hints
	if prefix := in.text(server.Path, nil); strings.Trim(prefix, "/") != "" {
		c.base += prefix
	}
	for name, template := range server.Headers {
		if value := in.text(template, nil); value != "" {
			c.headers[name] = value
		}
	}
	if pair := in.text(server.Basic, nil); strings.Trim(pair, ":") != "" {
		request := http.Request{Header: http.Header{}}
		user, password, _ := strings.Cut(pair, ":")
		request.SetBasicAuth(user, password)
		c.headers["Authorization"] = request.Header.Get("Authorization")
	}
	tlsConfig, err := server.TLS.config(config)
	if err != nil {
		return nil, err
	}
	c.http = &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
		TLSClientConfig: tlsConfig, Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 8,
	}}
	return c, nil
}

func (t TLS) config(config values) (*tls.Config, error) {
	read := func(pem, file string) ([]byte, error) {
		if text, _ := config[pem].(string); text != "" {
			return []byte(text), nil
		}
		if path, _ := config[file].(string); path != "" {
			return os.ReadFile(path)
		}
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12}
	out.InsecureSkipVerify, _ = config[t.SkipVerify].(bool)
	out.ServerName, _ = config[t.ServerName].(string)
	ca, err := read(t.CAPem, t.CAFile)
	if err != nil {
		return nil, err
	}
	if ca != nil {
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(ca) {
			return nil, errors.New("the certificate authority is not a PEM certificate")
		}
	}
	cert, certErr := read(t.CertPem, t.CertFile)
	key, keyErr := read(t.KeyPem, t.KeyFile)
	if err := errors.Join(certErr, keyErr); err != nil || cert == nil {
		return out, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	out.Certificates = []tls.Certificate{pair}
	return out, err
}

// send makes one call, again while the server is not there yet. A body of type string is sent as it is, any other as JSON.
func (c *client) send(ctx context.Context, method, path string, body any, headers map[string]string) (*answer, error) {
	payload := []byte(nil)
	if text, raw := body.(string); raw {
		payload = []byte(text)
	} else if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		payload = encoded
	}
	until := time.Now().Add(retryWindow)
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		out, err := c.attempt(ctx, method, path, payload, headers)
		if !c.again(out, err) || time.Now().Add(pause).After(until) {
			if advice := c.hints[unreachable]; errors.Is(err, syscall.ECONNREFUSED) && advice != "" {
				err = fmt.Errorf("%w\n%s", err, advice)
			}
			return out, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

func (c *client) attempt(ctx context.Context, method, path string, payload []byte, headers map[string]string) (*answer, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(payload))
	if err != nil {
		return nil, err
	}
	if payload != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for _, set := range []map[string]string{c.headers, headers} {
		for name, value := range set {
			request.Header.Set(name, value)
		}
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	out := &answer{status: response.StatusCode, text: string(text), call: method + " " + c.base + path, hints: c.hints}
	if json.Unmarshal(text, &out.body) != nil {
		out.body = nil
	}
	return out, nil
}

func (c *client) again(out *answer, err error) bool {
	if err != nil {
		return errors.Is(err, syscall.ECONNREFUSED)
	}
	return out.status == 502 || out.status == 503 || out.status == 500 && out.says(c.retry)
}

// failed turns an error answer into an error that shows what the server said, and what may be done about it.
func (a *answer) failed() error {
	text := strings.TrimSpace(a.text)
	if list, ok := getPath(a.body, "errors").([]any); ok && len(list) > 0 {
		text = strings.TrimSpace(joined(list, "; "))
	}
	if len(text) > shownBody {
		text = text[:shownBody] + "..."
	}
	return fmt.Errorf("%s was answered %d: %s%s", a.call, a.status, text, hint(a.hints, text))
}

// hint is what is known to help against an error.
func hint(hints map[string]string, text string) string {
	for _, part := range sorted(hints) {
		if strings.Contains(text, part) {
			return "\n" + hints[part]
		}
	}
	return ""
}

func (a *answer) ok() bool { return a.status >= 200 && a.status < 300 }

// says tells whether one of the texts is in the answer.
func (a *answer) says(texts []string) bool {
	return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(a.text, text) })
}
