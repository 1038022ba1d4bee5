// Package server puts the gateway together and runs it.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"nexus/standins/kong/internal/admin"
	"nexus/standins/kong/internal/conf"
	"nexus/standins/kong/internal/entity"
	"nexus/standins/kong/internal/plugin"
	"nexus/standins/kong/internal/proxy"
	"nexus/standins/kong/internal/schema"
	"nexus/standins/kong/internal/store"
)

const (
	connectFor   = 60 * time.Second // how long a start waits for PostgreSQL
	drainTerm    = 8 * time.Second  // SIGTERM; the engine kills after 10 s
	drainQuit    = 60 * time.Second // SIGQUIT
	headerTime   = 60 * time.Second
	idleTime     = 75 * time.Second
	maxHeaders   = 64 << 10
	closingDelay = 50 * time.Millisecond
)

// Run serves until a signal ends it.
func Run(config *conf.Config) error {
	logging(config)
	for _, warning := range config.Warnings {
		slog.Warn(warning)
	}
	shared := plugin.NewShared(config.Dictionaries, config.Roots)
	registry := plugin.Bundled(shared)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP)
	entities, err := open(ctx, config, registry, signals)
	if err != nil {
		return err
	}
	defer entities.Close()
	if err := WritePID(config.Prefix); err != nil {
		return err
	}
	defer RemovePID(config.Prefix)

	access, err := output(config.ProxyAccessLog)
	if err != nil {
		return err
	}
	gateway := proxy.New(config, registry, access)
	defer gateway.Pools.Close()
	certificates, err := newCertificates(config)
	if err != nil {
		return err
	}
	entities.Watch(gateway.Update)
	entities.Watch(certificates.update)
	api := admin.New(admin.Server{
		Store: entities, Registry: registry, Health: gateway.Pools, Config: config,
		NodeID: schema.NewUUID(), Requests: gateway.Served, Responses: shared.Responses,
	})
	clients := &connections{states: map[net.Conn]http.ConnState{}}
	figures := metrics(api, shared, clients)
	g := &group{certificates: certificates}
	err = errors.Join(
		g.listen(config.Proxy, secured(config.ToHTTPS, gateway), clients.track),
		g.listen(config.Admin, asked(config.AdminUsers, withMetrics(api, figures)), nil),
		g.listen(config.Status, withMetrics(status(api), figures), nil),
	)
	if err != nil {
		g.close()
		return err
	}
	if config.Database == "postgres" {
		go entities.Follow(ctx, config.UpdateInterval, func(err error) { slog.Error("database does not answer", "error", err) })
	}
	slog.Info("started", "version", conf.Version, "stand_in", true, "database", config.Database)
	g.wait(signals, func() {
		password, err := os.ReadFile(reloaded(config.Prefix))
		if err != nil {
			slog.Error("nothing reloaded", "error", err)
			return
		}
		entities.Renew(string(password))
		slog.Info("reloaded")
	})
	return nil
}

// open connects to the database, waiting for it while it starts.
func open(ctx context.Context, c *conf.Config, registry *plugin.Registry, stop <-chan os.Signal) (*store.Store, error) {
	schemas := entity.All(registry)
	if c.Database == "memory" {
		return store.Open(ctx, &store.Memory{}, schemas)
	}
	backend, err := store.Connect(c.PG.DSN(), c.Roots, c.PG.Timeout)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(connectFor)
	for {
		entities, err := store.Open(ctx, backend, schemas)
		if err == nil {
			return entities, nil
		}
		if errors.Is(err, store.ErrNotBootstrapped) || time.Now().After(deadline) {
			backend.Close()
			return nil, err
		}
		slog.Warn("waiting for the database", "error", err)
		select {
		case s := <-stop:
			backend.Close()
			return nil, fmt.Errorf("stopped by %s while waiting for the database", s)
		case <-time.After(time.Second):
		}
	}
}

// group is all listening servers.
type group struct {
	certificates *certificates
	servers      []*http.Server
}

func (g *group) listen(listens []conf.Listen, handler http.Handler, track func(net.Conn, http.ConnState)) error {
	for _, l := range listens {
		socket, err := net.Listen("tcp", l.Address)
		if err != nil {
			return err
		}
		server := &http.Server{
			Handler: handler, ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeaders,
			ErrorLog: log.New(debugWriter{}, "", 0), ConnState: track,
		}
		if l.TLS {
			server.TLSConfig = &tls.Config{GetCertificate: g.certificates.get, MinVersion: tls.VersionTLS12}
			server.Protocols = new(http.Protocols)
			server.Protocols.SetHTTP1(true)
			server.Protocols.SetHTTP2(l.HTTP2)
		}
		g.servers = append(g.servers, server)
		go func() {
			var err error
			if l.TLS {
				err = server.ServeTLS(socket, "", "")
			} else {
				err = server.Serve(socket)
			}
			if !errors.Is(err, http.ErrServerClosed) {
				slog.Error("listener failed", "address", l.Address, "error", err)
			}
		}()
	}
	return nil
}

// wait returns after a signal that ends the process, when requests in flight are done.
func (g *group) wait(signals <-chan os.Signal, reload func()) {
	for s := range signals {
		if s == syscall.SIGHUP {
			reload()
			continue
		}
		patience := drainTerm
		if s == syscall.SIGQUIT {
			patience = drainQuit
		}
		slog.Info("stopping", "signal", s.String())
		g.drain(patience)
		return
	}
}

func (g *group) drain(patience time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	done := make(chan struct{})
	for _, server := range g.servers {
		server.SetKeepAlivesEnabled(false)
		go func() {
			_ = server.Shutdown(ctx)
			done <- struct{}{}
		}()
	}
	for range g.servers {
		<-done
	}
	time.Sleep(closingDelay) // let the last log lines out
	g.close()
}

func (g *group) close() {
	for _, server := range g.servers {
		_ = server.Close()
	}
}

// secured answers plain requests with the way to TLS, where that is configured.
func secured(to *conf.Redirect, next http.Handler) http.Handler {
	if to == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS != nil {
			next.ServeHTTP(w, r)
			return
		}
		host := r.Host
		if name, _, err := net.SplitHostPort(host); err == nil {
			host = name
		}
		w.Header().Set("Server", conf.ServerHeader)
		w.Header().Set("Location", "https://"+host+to.Port+r.URL.RequestURI())
		w.WriteHeader(to.Status)
	})
}

// withMetrics adds /metrics.
func withMetrics(api, figures http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/metrics" && r.Method == http.MethodGet {
			figures.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
}

// status is the read-only API of the status listener.
func status(api *admin.Server) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /status", api)
	mux.HandleFunc("GET /status/ready", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = io.WriteString(w, `{"message":"ready"}`)
	})
	return mux
}
