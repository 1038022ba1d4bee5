package main

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"nexus/standins/logstash/internal/pipeline"
)

// api is the monitoring API: what the original calls node info and node stats.
type api struct {
	settings settings
	pipeline *pipeline.Pipeline
	address  string
	id       string
	began    time.Time
}

func newAPI(s settings, p *pipeline.Pipeline) *api {
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	return &api{settings: s, pipeline: p, id: hex.EncodeToString(id), began: time.Now()}
}

// listen serves on the first free port of the range.
func (a *api) listen() (*http.Server, error) {
	first, last := a.settings.ports()
	var listener net.Listener
	err := errors.New("http.port is no port")
	for port := first; port <= last; port++ {
		a.address = net.JoinHostPort(a.settings["http.host"], strconv.Itoa(port))
		if listener, err = net.Listen("tcp", a.address); err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	routes := http.NewServeMux()
	for path, section := range map[string]func() map[string]any{
		"/{$}":                        func() map[string]any { return nil },
		"/_node":                      a.node,
		"/_node/pipelines":            a.node,
		"/_node/pipelines/{id}":       a.node,
		"/_node/stats":                a.stats,
		"/_node/stats/pipelines":      a.pipelines,
		"/_node/stats/pipelines/{id}": a.pipelines,
		"/_node/stats/{section}":      a.stats,
	} {
		routes.HandleFunc("GET "+path, a.answer(section))
	}
	routes.HandleFunc("/", func(answer http.ResponseWriter, request *http.Request) {
		a.write(answer, http.StatusNotFound, map[string]any{"path": request.URL.Path, "status": 404, "error": map[string]any{"message": "Not Found"}})
	})
	server := &http.Server{Handler: routes, ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return server, nil
}

func (a *api) answer(section func() map[string]any) http.HandlerFunc {
	return func(answer http.ResponseWriter, request *http.Request) {
		if id := request.PathValue("id"); id != "" && id != a.settings["pipeline.id"] {
			a.write(answer, http.StatusNotFound, map[string]any{"path": request.URL.Path, "status": 404, "error": map[string]any{"message": "Not Found"}})
			return
		}
		body := a.common()
		for key, value := range section() {
			if only := request.PathValue("section"); only == "" || only == key {
				body[key] = value
			}
		}
		a.write(answer, http.StatusOK, body)
	}
}

func (a *api) write(answer http.ResponseWriter, status int, body map[string]any) {
	answer.Header().Set("Content-Type", "application/json")
	answer.WriteHeader(status)
	_ = json.NewEncoder(answer).Encode(body)
}

func (a *api) common() map[string]any {
	return map[string]any{
		"host": hostname(), "version": version, "http_address": a.address, "id": a.id, "name": a.settings["node.name"],
		"ephemeral_id": a.id, "status": "green", "snapshot": false, "stand_in": true,
		"pipeline": map[string]any{
			"workers": 1, "batch_size": a.settings.number("pipeline.batch.size"), "batch_delay": a.settings.number("pipeline.batch.delay"),
		},
	}
}

func (a *api) node() map[string]any {
	return map[string]any{"pipelines": map[string]any{a.settings["pipeline.id"]: map[string]any{
		"ephemeral_id": a.id, "workers": 1, "batch_size": a.settings.number("pipeline.batch.size"),
		"batch_delay": a.settings.number("pipeline.batch.delay"), "config_reload_automatic": false,
	}}}
}

func (a *api) pipelines() map[string]any {
	stats := a.pipeline.Stats()
	stats["reloads"] = reloads()
	return map[string]any{"pipelines": map[string]any{a.settings["pipeline.id"]: stats}}
}

func reloads() map[string]any {
	return map[string]any{"successes": 0, "failures": 0, "last_error": nil, "last_success_timestamp": nil, "last_failure_timestamp": nil}
}

// stats: where the original describes its Java machine, this describes its own process under the same names.
func (a *api) stats() map[string]any {
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	var usage syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	used := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	up := time.Since(a.began)
	body := a.pipelines()
	body["events"] = a.pipeline.Events()
	body["queue"] = map[string]any{"events_count": body["pipelines"].(map[string]any)[a.settings["pipeline.id"]].(map[string]any)["queue"].(map[string]any)["events_count"]}
	body["reloads"] = map[string]any{"successes": 0, "failures": 0}
	body["jvm"] = map[string]any{
		"uptime_in_millis": up.Milliseconds(), "threads": map[string]any{"count": runtime.NumGoroutine()},
		"mem": map[string]any{"heap_used_in_bytes": memory.HeapAlloc, "heap_committed_in_bytes": memory.HeapSys},
	}
	body["process"] = map[string]any{
		"open_file_descriptors": descriptors(),
		"cpu":                   map[string]any{"total_in_millis": used.Milliseconds(), "percent": int(100 * used / max(up, 1))},
		"mem":                   map[string]any{"total_virtual_in_bytes": memory.Sys},
	}
	return body
}

func descriptors() int {
	found, _ := os.ReadDir("/proc/self/fd")
	return len(found)
}
