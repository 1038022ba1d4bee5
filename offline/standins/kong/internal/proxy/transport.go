package proxy

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"os"
	"reflect"
	"sync"
	"time"

	"nexus/standins/kong/internal/conf"
	"nexus/standins/kong/internal/store"
)

// dialing is what makes connections interchangeable.
type dialing struct {
	connect, read, write time.Duration
	service              string // id of the service, for TLS ones with own settings
	serverName           string // TLS only
}

// transports holds one connection pool per kind of connection.
type transports struct {
	state  *store.State
	config *conf.Config
	mu     sync.Mutex
	pools  map[dialing]*http.Transport
}

func newTransports(st *store.State, config *conf.Config) *transports {
	return &transports{state: st, config: config, pools: map[dialing]*http.Transport{}}
}

// adopt takes over the pools that may still be used and closes the rest when idle.
func (t *transports) adopt(old *transports) {
	old.mu.Lock()
	defer old.mu.Unlock()
	for key, pool := range old.pools {
		if key.service == "" || reflect.DeepEqual(t.secrets(key.service), old.secrets(key.service)) {
			t.pools[key] = pool
		} else {
			pool.CloseIdleConnections()
		}
	}
}

// secrets is everything that the TLS settings of a service are made of.
func (t *transports) secrets(id string) []store.Entity {
	service := t.state.Get("services", id)
	out := []store.Entity{service, t.state.Get("certificates", store.Foreign(service, "client_certificate"))}
	authorities, _ := service["ca_certificates"].([]any)
	for _, id := range authorities {
		out = append(out, t.state.Get("ca_certificates", id.(string)))
	}
	return out
}

// get finds the pool for a service's connections to a server of that name.
func (t *transports) get(service store.Entity, serverName string) (*http.Transport, error) {
	key := dialing{
		connect: duration(service["connect_timeout"]), read: duration(service["read_timeout"]),
		write: duration(service["write_timeout"]),
	}
	if service["protocol"] == "https" {
		key.service, key.serverName = store.ID(service), serverName
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if pool := t.pools[key]; pool != nil {
		return pool, nil
	}
	pool := &http.Transport{
		DialContext: key.dial, DisableCompression: true, MaxIdleConnsPerHost: t.config.IdlePerHost,
		IdleConnTimeout: t.config.IdleTimeout, TLSHandshakeTimeout: key.connect,
	}
	if key.service != "" {
		config, err := t.tlsConfig(service, serverName)
		if err != nil {
			return nil, err
		}
		pool.TLSClientConfig = config
	}
	t.pools[key] = pool
	return pool, nil
}

func (t *transports) tlsConfig(service store.Entity, serverName string) (*tls.Config, error) {
	config := &tls.Config{
		ServerName: serverName, InsecureSkipVerify: service["tls_verify"] != true, //nolint:gosec // configured
	}
	if ids, _ := service["ca_certificates"].([]any); len(ids) > 0 {
		config.RootCAs = x509.NewCertPool()
		for _, id := range ids {
			if ca := t.state.Get("ca_certificates", id.(string)); ca != nil {
				config.RootCAs.AppendCertsFromPEM([]byte(ca["cert"].(string)))
			}
		}
	}
	if e := t.state.Get("certificates", store.Foreign(service, "client_certificate")); e != nil {
		pair, err := tls.X509KeyPair([]byte(e["cert"].(string)), []byte(e["key"].(string)))
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

func (d dialing) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: d.connect}).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &timedConn{conn, d.read, d.write}, nil
}

// timedConn limits the time between two reads and two writes, which is what
// a service's read_timeout and write_timeout mean.
type timedConn struct {
	net.Conn
	read, write time.Duration
}

func (c *timedConn) Read(b []byte) (int, error) {
	_ = c.SetReadDeadline(time.Now().Add(c.read))
	return c.Conn.Read(b)
}

// Write also moves the read deadline: the wait for an answer begins after it.
func (c *timedConn) Write(b []byte) (int, error) {
	now := time.Now()
	_ = c.SetWriteDeadline(now.Add(c.write))
	_ = c.SetReadDeadline(now.Add(c.read))
	return c.Conn.Write(b)
}

func duration(v any) time.Duration {
	n, _ := v.(float64)
	return time.Duration(n) * time.Millisecond
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || (errors.As(err, &n) && n.Timeout())
}
