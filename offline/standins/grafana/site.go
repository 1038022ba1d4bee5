package main

import (
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

//go:embed static
var static embed.FS

// Site is everything that is served.
type Site struct {
	settings    *Settings
	store       *Store
	provisioned *Provisioning
	auth        *Auth
	logger      *slog.Logger
	client      *http.Client
	metrics     *Metrics
}

func newSite(settings *Settings, store *Store, provisioned *Provisioning, logger *slog.Logger) http.Handler {
	s := &Site{settings: settings, store: store, provisioned: provisioned, auth: newAuth(settings, store), logger: logger}
	s.client = &http.Client{Timeout: 30 * time.Second}
	s.metrics = newMetrics(func() int { return len(s.all()) })
	files, _ := fs.Sub(static, "static")
	routes := http.NewServeMux()
	routes.HandleFunc("GET /api/health", s.health)
	routes.HandleFunc("GET /metrics", s.exposed)
	routes.HandleFunc("POST /login", s.auth.login)
	routes.HandleFunc("GET /logout", s.auth.logout)
	routes.Handle("GET /public/", http.StripPrefix("/public/", http.FileServerFS(files)))
	for _, path := range []string{"/{$}", "/login", "/dashboards", "/d/{uid}", "/d/{uid}/{slug}"} {
		routes.HandleFunc("GET "+path, func(answer http.ResponseWriter, request *http.Request) {
			http.ServeFileFS(answer, request, files, "index.html")
		})
	}
	for path, handler := range map[string]http.HandlerFunc{
		"GET /api/user": s.user, "GET /api/org": s.organisation, "GET /api/search": s.search, "GET /api/folders": s.folders,
		"GET /api/datasources": s.listSources, "GET /api/datasources/uid/{uid}": s.source, "GET /api/datasources/name/{name}": s.source,
		"GET /api/datasources/uid/{uid}/health": s.sourceHealth, "GET /api/dashboards/uid/{uid}": s.dashboard,
		"/api/datasources/proxy/uid/{uid}/{path...}": s.proxy,
	} {
		routes.HandleFunc(path, s.signedIn(handler, false))
	}
	for path, handler := range map[string]http.HandlerFunc{
		"POST /api/dashboards/db": s.saveDashboard, "DELETE /api/dashboards/uid/{uid}": s.deleteDashboard, "PUT /api/user/password": s.changePassword,
	} {
		routes.HandleFunc(path, s.signedIn(handler, true))
	}
	routes.HandleFunc("/", func(answer http.ResponseWriter, _ *http.Request) { message(answer, http.StatusNotFound, "Not found") })
	return s.metrics.observed(guarded(routes))
}

// guarded sets the headers that keep pages from being framed, guessed at, or made to run what is not theirs.
func guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		answer.Header().Set("Content-Security-Policy", "default-src 'self'; frame-ancestors 'none'")
		answer.Header().Set("X-Content-Type-Options", "nosniff")
		answer.Header().Set("X-Frame-Options", "deny")
		next.ServeHTTP(answer, request)
	})
}

func (s *Site) signedIn(next http.HandlerFunc, admin bool) http.HandlerFunc {
	return func(answer http.ResponseWriter, request *http.Request) {
		allowed, isAdmin := s.auth.allowed(request)
		switch {
		case !allowed:
			message(answer, http.StatusUnauthorized, "Unauthorized")
		case admin && !isAdmin:
			message(answer, http.StatusForbidden, "Access denied")
		default:
			next(answer, request)
		}
	}
}

func reply(answer http.ResponseWriter, status int, body any) {
	answer.Header().Set("Content-Type", "application/json; charset=UTF-8")
	answer.WriteHeader(status)
	_ = json.NewEncoder(answer).Encode(body)
}

func message(answer http.ResponseWriter, status int, text string) {
	reply(answer, status, map[string]any{"message": text})
}

// health also reads the store, as the original asks its database.
func (s *Site) health(answer http.ResponseWriter, _ *http.Request) {
	if _, err := s.store.read(); err != nil {
		reply(answer, http.StatusServiceUnavailable, map[string]any{"database": "failing", "version": version, "commit": "stand-in"})
		return
	}
	reply(answer, http.StatusOK, map[string]any{"database": "ok", "version": version, "commit": "stand-in"})
}

func (s *Site) exposed(answer http.ResponseWriter, request *http.Request) {
	if !s.settings.on("metrics", "enabled") {
		message(answer, http.StatusNotFound, "Not found")
		return
	}
	promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}).ServeHTTP(answer, request)
}

// find is the data source of the path's uid or name.
func (s *Site) find(request *http.Request) (Datasource, bool) {
	uid, name := request.PathValue("uid"), request.PathValue("name")
	for _, each := range s.provisioned.sources() {
		if uid != "" && each.UID == uid || name != "" && each.Name == name {
			return each, true
		}
	}
	return Datasource{}, false
}

func (s *Site) source(answer http.ResponseWriter, request *http.Request) {
	if found, ok := s.find(request); ok {
		reply(answer, http.StatusOK, found)
		return
	}
	message(answer, http.StatusNotFound, "Data source not found")
}

func (s *Site) listSources(answer http.ResponseWriter, _ *http.Request) {
	list := s.provisioned.sources()
	if list == nil {
		list = []Datasource{}
	}
	reply(answer, http.StatusOK, list)
}

// probes are what is asked of a data source to see whether it answers.
var probes = map[string]string{"prometheus": "/api/v1/query?query=1%2B1", "elasticsearch": "/_cluster/health"}

func (s *Site) sourceHealth(answer http.ResponseWriter, request *http.Request) {
	found, ok := s.find(request)
	if !ok {
		message(answer, http.StatusNotFound, "Data source not found")
		return
	}
	asked, err := http.NewRequestWithContext(request.Context(), http.MethodGet, found.URL+probes[found.Type], nil)
	if err == nil {
		found.authorize(asked)
		var response *http.Response
		if response, err = s.client.Do(asked); err == nil {
			_ = response.Body.Close()
			if response.StatusCode != http.StatusOK {
				err = fmt.Errorf("status %d", response.StatusCode)
			}
		}
	}
	if err != nil {
		reply(answer, http.StatusBadRequest, map[string]any{"status": "ERROR", "message": err.Error()})
		return
	}
	reply(answer, http.StatusOK, map[string]any{"status": "OK", "message": "Data source is working"})
}

func (d Datasource) authorize(request *http.Request) {
	request.Header.Del("Authorization")
	request.Header.Del("Cookie")
	if d.BasicAuth {
		request.SetBasicAuth(d.User, d.Secure["basicAuthPassword"])
	}
}

// proxy passes a query on; nobody's login goes with it. Elasticsearch is only searched, as in the original.
func (s *Site) proxy(answer http.ResponseWriter, request *http.Request) {
	found, ok := s.find(request)
	if !ok {
		message(answer, http.StatusNotFound, "Unable to find datasource")
		return
	}
	target, err := url.Parse(found.URL)
	if err != nil {
		message(answer, http.StatusInternalServerError, err.Error())
		return
	}
	path := request.PathValue("path")
	if reason := found.refuses(request.Method, path); reason != "" {
		message(answer, http.StatusForbidden, reason)
		return
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(passed *httputil.ProxyRequest) {
			passed.Out.URL = target.JoinPath(path)
			passed.Out.URL.Path = "/" + strings.TrimPrefix(passed.Out.URL.Path, "/")
			passed.Out.URL.RawQuery = passed.In.URL.RawQuery
			passed.Out.Host = target.Host
			found.authorize(passed.Out)
		},
		ErrorHandler: func(answer http.ResponseWriter, _ *http.Request, err error) {
			message(answer, http.StatusBadGateway, err.Error())
		},
	}
	s.metrics.through(found.Name, proxy).ServeHTTP(answer, request)
}
