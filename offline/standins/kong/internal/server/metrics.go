package server

import (
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"nexus/standins/kong/internal/admin"
	"nexus/standins/kong/internal/conf"
	"nexus/standins/kong/internal/plugin"
)

// connections counts the proxy's clients by what their connections do.
type connections struct {
	accepted     atomic.Int64
	active, idle atomic.Int64
	mu           sync.Mutex
	states       map[net.Conn]http.ConnState
}

// track is called by the server on each change of a connection.
func (c *connections) track(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before, known := c.states[conn]
	if !known {
		c.accepted.Add(1)
		c.active.Add(1)
	}
	if before == http.StateIdle {
		c.idle.Add(-1)
	}
	switch state {
	case http.StateClosed, http.StateHijacked:
		c.active.Add(-1)
		delete(c.states, conn)
		return
	case http.StateIdle:
		c.idle.Add(1)
	}
	c.states[conn] = state
}

// metrics answers /metrics the way the prometheus plugin of the original does.
func metrics(api *admin.Server, shared *plugin.Shared, clients *connections) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
		w.Header().Set("Server", conf.ServerHeader)
		node := func(more ...string) []string { return append([]string{"node_id", api.NodeID}, more...) }
		reachable := 0.0
		if api.Store.Reachable() {
			reachable = 1
		}
		plugin.Head(w, "kong_datastore_reachable", "Datastore reachable from Kong, 0 is unreachable", "gauge")
		plugin.Sample(w, "kong_datastore_reachable", reachable)
		plugin.Head(w, "kong_node_info", "Kong Node metadata information", "gauge")
		plugin.Sample(w, "kong_node_info", 1, node("version", conf.Version)...)
		plugin.Head(w, "kong_nginx_connections_total", "Number of connections by subsystem", "gauge")
		served, active, idle := float64(api.Requests()), float64(clients.active.Load()), float64(clients.idle.Load())
		for state, n := range map[string]float64{
			"accepted": float64(clients.accepted.Load()), "handled": float64(clients.accepted.Load()), "total": served,
			"active": active, "reading": 0, "writing": active - idle, "waiting": idle,
		} {
			plugin.Sample(w, "kong_nginx_connections_total", n, node("subsystem", "http", "state", state)...)
		}
		plugin.Head(w, "kong_nginx_requests_total", "Number of requests total", "gauge")
		plugin.Sample(w, "kong_nginx_requests_total", served, node("subsystem", "http")...)
		plugin.Head(w, "kong_nginx_metric_errors_total", "Number of nginx-lua-prometheus errors", "counter")
		plugin.Sample(w, "kong_nginx_metric_errors_total", 0)
		var memory runtime.MemStats
		runtime.ReadMemStats(&memory)
		plugin.Head(w, "kong_memory_workers_lua_vms_bytes", "Allocated bytes in worker Lua VM", "gauge")
		plugin.Sample(w, "kong_memory_workers_lua_vms_bytes", float64(memory.HeapAlloc),
			node("pid", strconv.Itoa(os.Getpid()), "kong_subsystem", "http")...)
		if shared.Metrics.Targets() {
			targets(w, api)
		}
		shared.Metrics.Write(w)
	})
}

var healthWords = []string{"healthchecks_off", "healthy", "unhealthy", "dns_error"}

// targets shows for each address of each target which state it is in.
func targets(w http.ResponseWriter, api *admin.Server) {
	const name = "kong_upstream_target_health"
	plugin.Head(w, name, "Health status of targets of upstream. States = healthchecks_off|healthy|unhealthy|dns_error, "+
		"value is 1 when state is populated.", "gauge")
	st := api.Store.State()
	for _, target := range st.List("targets") {
		upstream := st.Get("upstreams", target["upstream"].(map[string]any)["id"].(string))
		word, data := api.Health.Target(upstream["id"].(string), target["target"].(string))
		addresses, _ := data["addresses"].([]any)
		if len(addresses) == 0 {
			addresses = []any{map[string]any{"health": word}}
		}
		for _, item := range addresses {
			a, _ := item.(map[string]any)
			health, _ := a["health"].(string)
			at := ""
			if ip, ok := a["ip"].(string); ok {
				at = net.JoinHostPort(ip, port(a["port"]))
			}
			for _, state := range healthWords {
				value := 0.0
				if strings.EqualFold(health, state) {
					value = 1
				}
				plugin.Sample(w, name, value, "upstream", upstream["name"].(string), "target", target["target"].(string),
					"address", at, "state", state, "subsystem", "http")
			}
		}
	}
}

func port(v any) string {
	switch n := v.(type) {
	case int:
		return strconv.Itoa(n)
	case float64:
		return strconv.Itoa(int(n))
	}
	return ""
}
