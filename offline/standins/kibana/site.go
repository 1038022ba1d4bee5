package main

import (
	"embed"
	"encoding/json"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"nexus/standins/kibana/internal/kql"
)

//go:embed static
var static embed.FS

// Site is everything that is served.
type Site struct {
	settings *Settings
	elastic  *Elastic
	objects  *Objects
	logger   *slog.Logger
	state    atomic.Pointer[State]
	began    time.Time
	uuid     string
}

func newSite(settings *Settings, logger *slog.Logger) *Site {
	timeout, _ := strconv.Atoi(settings.values["elasticsearch.requestTimeout"])
	elastic := &Elastic{
		hosts: settings.hosts(), user: settings.values["elasticsearch.username"], password: settings.values["elasticsearch.password"],
		client: &http.Client{Timeout: time.Duration(timeout) * time.Millisecond},
	}
	return &Site{settings: settings, elastic: elastic, objects: &Objects{elastic: elastic}, logger: logger, began: time.Now(), uuid: newID()}
}

func (s *Site) handler() http.Handler {
	files, _ := fs.Sub(static, "static")
	routes := http.NewServeMux()
	routes.Handle("GET /{$}", http.RedirectHandler("/app/discover", http.StatusFound))
	routes.HandleFunc("GET /app/{app...}", func(answer http.ResponseWriter, request *http.Request) {
		http.ServeFileFS(answer, request, files, "index.html")
	})
	routes.Handle("GET /ui/", http.StripPrefix("/ui/", http.FileServerFS(files)))
	routes.HandleFunc("GET /api/status", s.status)
	for path, handler := range map[string]http.HandlerFunc{
		"GET /api/saved_objects/_find": s.findObjects, "POST /api/saved_objects/_import": s.importObjects, "POST /api/saved_objects/_export": s.exportObjects,
		"GET /api/saved_objects/{type}/{id}": s.getObject, "DELETE /api/saved_objects/{type}/{id}": s.deleteObject,
		"POST /api/saved_objects/{type}": s.createObject, "POST /api/saved_objects/{type}/{id}": s.createObject, "PUT /api/saved_objects/{type}/{id}": s.createObject,
		"POST /api/index_patterns/index_pattern": s.createPattern, "GET /api/index_patterns/_fields_for_wildcard": s.fields,
		"POST /api/console/proxy": s.console, "POST /internal/search/discover": s.discover,
	} {
		routes.HandleFunc(path, handler)
	}
	routes.HandleFunc("/", func(answer http.ResponseWriter, _ *http.Request) { failed(answer, http.StatusNotFound, "Not Found") })
	return s.guarded(routes)
}

// guarded refuses writes that another site's page could have sent: they lack Kibana's header.
func (s *Site) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		answer.Header().Set("kbn-name", s.settings.values["server.name"])
		answer.Header().Set("X-Content-Type-Options", "nosniff")
		reads := request.Method == http.MethodGet || request.Method == http.MethodHead
		if !reads && request.Header.Get("kbn-xsrf") == "" && request.Header.Get("kbn-version") == "" {
			failed(answer, http.StatusBadRequest, "Request must contain a kbn-xsrf header.")
			return
		}
		next.ServeHTTP(answer, request)
	})
}

func reply(answer http.ResponseWriter, status int, body any) {
	answer.Header().Set("Content-Type", "application/json; charset=utf-8")
	answer.WriteHeader(status)
	_ = json.NewEncoder(answer).Encode(body)
}

// status is 503 until Elasticsearch can be used, as the original's is.
func (s *Site) status(answer http.ResponseWriter, _ *http.Request) {
	state := s.state.Load()
	if state == nil {
		state = &State{"unavailable", "Elasticsearch has not been asked yet", s.began}
	}
	status, overall, colour := http.StatusOK, "green", "success"
	if state.Level != "available" {
		status, overall, colour = http.StatusServiceUnavailable, "red", "danger"
	}
	reply(answer, status, map[string]any{
		"name": s.settings.values["server.name"], "uuid": s.uuid, "stand_in": true,
		"version": map[string]any{"number": version, "build_hash": "stand-in", "build_number": 0, "build_snapshot": false},
		"status": map[string]any{
			"overall":  map[string]any{"state": overall, "title": strings.ToUpper(overall[:1]) + overall[1:], "uiColor": colour, "since": state.Since, "nickname": state.Summary},
			"statuses": []map[string]any{{"id": "core:elasticsearch@" + version, "message": state.Summary, "state": overall, "since": state.Since}},
		},
		"metrics": map[string]any{"last_updated": time.Now().UTC(), "process": map[string]any{"uptime_in_millis": time.Since(s.began).Milliseconds()}},
	})
}

// createPattern makes an index pattern: `{"index_pattern": {"title": "logs-*", "timeFieldName": "@timestamp"}}`.
func (s *Site) createPattern(answer http.ResponseWriter, request *http.Request) {
	var given struct {
		Override     bool
		IndexPattern map[string]any `json:"index_pattern"`
	}
	if err := json.NewDecoder(http.MaxBytesReader(answer, request.Body, maxBody)).Decode(&given); err != nil || given.IndexPattern["title"] == nil {
		failed(answer, http.StatusBadRequest, "[request body.index_pattern.title]: expected value of type [string]")
		return
	}
	object := &Object{Type: "index-pattern", ID: newID()}
	if id, ok := given.IndexPattern["id"].(string); ok && id != "" {
		object.ID = id
	}
	delete(given.IndexPattern, "id")
	object.Attributes, _ = json.Marshal(given.IndexPattern)
	if err := s.objects.put(request.Context(), object, given.Override); err != nil {
		refused(answer, err, object.Type, object.ID)
		return
	}
	given.IndexPattern["id"] = object.ID
	reply(answer, http.StatusOK, map[string]any{"index_pattern": given.IndexPattern})
}

// fields lists what can be asked for in the indices of a pattern.
func (s *Site) fields(answer http.ResponseWriter, request *http.Request) {
	var found struct {
		Fields map[string]map[string]struct {
			Searchable, Aggregatable bool
			MetadataField            bool `json:"metadata_field"`
		}
	}
	pattern := request.URL.Query().Get("pattern")
	if err := s.elastic.ask(request.Context(), http.MethodGet, "/"+escaped(pattern)+"/_field_caps?fields=*&ignore_unavailable=true&allow_no_indices=true", nil, &found); err != nil {
		refused(answer, err, "index-pattern", pattern)
		return
	}
	list := []map[string]any{}
	for name, types := range found.Fields {
		for kind, each := range types {
			if !each.MetadataField && kind != "object" {
				list = append(list, map[string]any{"name": name, "type": kind, "esTypes": []string{kind}, "searchable": each.Searchable, "aggregatable": each.Aggregatable, "readFromDocValues": each.Aggregatable})
			}
		}
	}
	reply(answer, http.StatusOK, map[string]any{"fields": list})
}

// escaped keeps commas and stars, which patterns are made of, and lets nothing else leave the path's first part.
func escaped(pattern string) string {
	return strings.NewReplacer("/", "%2F", "?", "%3F", "#", "%23", "%", "%25", " ", "%20").Replace(pattern)
}

// console passes a request on to Elasticsearch, as the original's developer console does.
func (s *Site) console(answer http.ResponseWriter, request *http.Request) {
	asked := request.URL.Query()
	body, err := io.ReadAll(http.MaxBytesReader(answer, request.Body, maxBody))
	if err != nil {
		failed(answer, http.StatusRequestEntityTooLarge, err.Error())
		return
	}
	response, err := s.elastic.send(request.Context(), strings.ToUpper(asked.Get("method")), "/"+strings.TrimPrefix(asked.Get("path"), "/"), body)
	if err != nil {
		failed(answer, http.StatusBadGateway, err.Error())
		return
	}
	defer response.Body.Close()
	answer.Header().Set("Content-Type", response.Header.Get("Content-Type"))
	answer.WriteHeader(response.StatusCode)
	_, _ = io.Copy(answer, response.Body)
}

// Search is what the Discover page asks for; times are milliseconds since 1970.
type Search struct {
	Index, Query, TimeField string
	From, To                int64
	Size, Offset            int
}

// discover answers with documents, newest first, and their number over time.
func (s *Site) discover(answer http.ResponseWriter, request *http.Request) {
	asked := Search{TimeField: "@timestamp", Size: 100}
	if err := json.NewDecoder(http.MaxBytesReader(answer, request.Body, maxBody)).Decode(&asked); err != nil {
		failed(answer, http.StatusBadRequest, err.Error())
		return
	}
	query, err := kql.Parse(asked.Query)
	if err != nil {
		failed(answer, http.StatusBadRequest, "KQLSyntaxError: "+err.Error())
		return
	}
	between := map[string]any{"gte": asked.From, "lte": asked.To, "format": "epoch_millis"}
	step := max((asked.To-asked.From)/60, 1000)
	var found map[string]any
	err = s.elastic.ask(request.Context(), http.MethodPost, "/"+escaped(asked.Index)+"/_search?ignore_unavailable=true&allow_no_indices=true", map[string]any{
		"size": min(asked.Size, 500), "from": asked.Offset, "track_total_hits": true,
		"query": map[string]any{"bool": map[string]any{"filter": []any{query, map[string]any{"range": map[string]any{asked.TimeField: between}}}}},
		"sort":  []any{map[string]any{asked.TimeField: map[string]any{"order": "desc", "unmapped_type": "date"}}},
		"aggs": map[string]any{"histogram": map[string]any{"date_histogram": map[string]any{
			"field": asked.TimeField, "fixed_interval": strconv.FormatInt(step, 10) + "ms", "min_doc_count": 0,
			"extended_bounds": map[string]any{"min": asked.From, "max": asked.To},
		}}},
	}, &found)
	if err != nil {
		refused(answer, err, "index-pattern", asked.Index)
		return
	}
	reply(answer, http.StatusOK, found)
}
