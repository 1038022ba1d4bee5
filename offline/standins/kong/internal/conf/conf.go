// Package conf reads the gateway's configuration from KONG_ variables.
package conf

import (
	"crypto/x509"
	"fmt"
	"net/netip"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"
)

// Version is the release whose interface is offered.
const Version = "3.9.1"

// ServerHeader names the server in responses.
const ServerHeader = "kong/" + Version

// Config is the complete configuration.
type Config struct {
	Database       string // "postgres" or "memory"
	PG             Postgres
	Proxy          []Listen
	Admin          []Listen
	Status         []Listen
	ProxyAccessLog string
	AdminAccessLog string
	ErrorLog       string
	LogLevel       string
	Prefix         string
	TrustedIPs     []netip.Prefix
	RealIPHeader   string
	Flavor         string // router flavor; "traditional" honours path_handling v1
	IdleTimeout    time.Duration
	IdlePerHost    int
	SSLCert        string
	SSLKey         string
	Plugins        string
	UpdateInterval time.Duration    // between looks for changes by other nodes
	ClientMaxBody  int64            // bytes; 0: unlimited
	Dictionaries   map[string]int64 // memories for responses: their limits in bytes
	ToHTTPS        *Redirect        // what plain requests to the proxy are answered with
	AdminUsers     string           // file with who may use the Admin API; "": everybody
	Roots          *x509.CertPool   // what servers are checked by, where a setting says that they are
	Warnings       []string
	settings       map[string]string
}

// Postgres says where the database is.
type Postgres struct {
	Host, Port, Database, User, Password string
	SSL, Required, Verify                bool
	Timeout                              time.Duration
}

// DSN is a connection string; the password never leaves the process.
func (p Postgres) DSN() string {
	quote := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'" }
	mode := "disable"
	switch {
	case p.SSL && p.Verify:
		mode = "verify-full"
	case p.SSL && p.Required:
		mode = "require"
	case p.SSL:
		mode = "prefer"
	}
	return fmt.Sprintf("host=%s port=%s dbname=%s user=%s password=%s sslmode=%s",
		quote(p.Host), quote(p.Port), quote(p.Database), quote(p.User), quote(p.Password), mode)
}

// defaults are the settings that matter here, with the original's defaults.
var defaults = map[string]string{
	"database": "postgres", "pg_host": "127.0.0.1", "pg_port": "5432", "pg_database": "kong", "pg_user": "kong",
	"pg_password": "", "pg_ssl": "off", "pg_ssl_required": "off", "pg_ssl_verify": "off", "lua_ssl_trusted_certificate": "system", "pg_timeout": "5000",
	"proxy_listen":     "0.0.0.0:8000 reuseport backlog=16384, 0.0.0.0:8443 http2 ssl reuseport backlog=16384",
	"admin_listen":     "127.0.0.1:8001 reuseport backlog=16384, 127.0.0.1:8444 http2 ssl reuseport backlog=16384",
	"status_listen":    "127.0.0.1:8007 reuseport backlog=16384",
	"proxy_access_log": "/dev/stdout", "admin_access_log": "/dev/stdout", "error_log": "/dev/stderr",
	"log_level": "notice", "prefix": "/usr/local/kong", "trusted_ips": "", "real_ip_header": "X-Real-IP",
	"router_flavor": "traditional_compatible", "upstream_keepalive_idle_timeout": "60",
	"upstream_keepalive_pool_size": "512", "ssl_cert": "", "ssl_cert_key": "", "plugins": "bundled",
	"nginx_http_client_max_body_size": "0", "nginx_http_lua_shared_dict": "", "nginx_proxy_include": "",
	"nginx_admin_auth_basic": "off", "nginx_admin_auth_basic_user_file": "", "password": "", "db_update_frequency": "5",
}

// accepted are settings that are understood but change nothing here.
var accepted = []string{
	"nginx_", "admin_gui_", "admin_error_log", "proxy_error_log", "proxy_stream_", "status_access_log", "status_error_log",
	"upstream_keepalive_", "db_cache_", "worker_", "mem_cache_size", "dns_", "resolver_", "anonymous_reports",
	"real_ip_recursive", "headers", "ssl_", "admin_ssl_", "client_ssl", "lua_", "pg_", "tracing_", "vault", "role",
	"declarative_config", "cluster_", "untrusted_lua", "stream_listen", "port_maps", "allow_debug_header", "error_default_type",
	"latency_tokens", "server_tokens", "max_queued_batches", "new_dns_client", "pluginserver_", "wasm", "opentelemetry_",
	"request_debug", "version", "db_", "router_",
}

// Load reads the configuration from environ ("NAME=value").
func Load(environ []string) (*Config, error) {
	c := &Config{settings: map[string]string{}}
	if err := c.read(environ); err != nil {
		return nil, err
	}
	get := func(name string) string {
		if v, ok := c.settings[name]; ok {
			return v
		}
		return defaults[name]
	}
	c.Database, c.Prefix, c.LogLevel = get("database"), get("prefix"), get("log_level")
	c.ProxyAccessLog, c.AdminAccessLog, c.ErrorLog = get("proxy_access_log"), get("admin_access_log"), get("error_log")
	c.RealIPHeader, c.Flavor, c.Plugins = get("real_ip_header"), get("router_flavor"), get("plugins")
	c.SSLCert, c.SSLKey = get("ssl_cert"), get("ssl_cert_key")
	c.PG = Postgres{
		Host: get("pg_host"), Port: get("pg_port"), Database: get("pg_database"),
		User: get("pg_user"), Password: get("pg_password"),
		SSL: get("pg_ssl") == "on", Required: get("pg_ssl_required") == "on", Verify: get("pg_ssl_verify") == "on",
		Timeout: time.Duration(integer(get("pg_timeout"), 5000)) * time.Millisecond,
	}
	trusted, err := roots(get("lua_ssl_trusted_certificate"))
	if err != nil {
		return nil, err
	}
	c.Roots = trusted
	c.IdleTimeout = time.Duration(integer(get("upstream_keepalive_idle_timeout"), 60)) * time.Second
	c.UpdateInterval = time.Duration(max(integer(get("db_update_frequency"), 5), 1)) * time.Second
	c.IdlePerHost = integer(get("upstream_keepalive_pool_size"), 512)
	c.ClientMaxBody = size(get("nginx_http_client_max_body_size"))
	if get("nginx_admin_auth_basic") != "off" {
		c.AdminUsers = get("nginx_admin_auth_basic_user_file")
	}
	c.Dictionaries = dictionaries(get("nginx_http_lua_shared_dict"))
	if err := c.readRedirect(get("nginx_proxy_include")); err != nil {
		return nil, err
	}
	if c.Database != "postgres" && c.Database != "memory" {
		return nil, fmt.Errorf("database has an invalid value: '%s' (postgres, memory)", c.Database)
	}
	for name, into := range map[string]*[]Listen{"proxy_listen": &c.Proxy, "admin_listen": &c.Admin, "status_listen": &c.Status} {
		listens, err := ParseListen(get(name))
		if err != nil {
			return nil, fmt.Errorf("%s must be of form: [off] | <ip>:<port> [ssl] [http2] ..., got '%s': %w", name, get(name), err)
		}
		*into = listens
	}
	return c, c.readTrusted(get("trusted_ips"))
}

func (c *Config) readTrusted(text string) error {
	for _, item := range split(text) {
		if prefix, err := netip.ParsePrefix(item); err == nil {
			c.TrustedIPs = append(c.TrustedIPs, prefix)
		} else if ip, err := netip.ParseAddr(item); err == nil {
			c.TrustedIPs = append(c.TrustedIPs, netip.PrefixFrom(ip, ip.BitLen()))
		} else if item != "unix:" {
			return fmt.Errorf("trusted_ips must be a comma separated list of IP addresses or CIDR ranges, got '%s'", item)
		}
	}
	return nil
}

// read collects KONG_ variables; KONG_<NAME>_FILE holds the name of a file with the value.
func (c *Config) read(environ []string) error {
	found := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, "KONG_") && value != "" {
			found[strings.ToLower(strings.TrimPrefix(name, "KONG_"))] = value
		}
	}
	names := make([]string, 0, len(found))
	for name := range found {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		value := found[name]
		// A directive of nginx may end in _file itself.
		if base, isFile := strings.CutSuffix(name, "_file"); isFile && !strings.HasPrefix(name, "nginx_") {
			upper := strings.ToUpper("kong_" + base)
			if found[base] != "" {
				return fmt.Errorf("both %s and %s_FILE are set (but are exclusive)", upper, upper)
			}
			text, err := os.ReadFile(value)
			if err != nil {
				return fmt.Errorf("%s_FILE: %w", upper, err)
			}
			name, value = base, strings.TrimRight(string(text), "\n")
		}
		c.settings[name] = value
		if !known(name) {
			c.Warnings = append(c.Warnings, "unknown setting ignored: KONG_"+strings.ToUpper(name))
		}
	}
	return nil
}

func known(name string) bool {
	if _, ok := defaults[name]; ok {
		return true
	}
	for _, prefix := range accepted {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// Trusted tells whether forwarding headers of this peer are believed.
func (c *Config) Trusted(ip string) bool {
	addr, err := netip.ParseAddr(ip)
	if err != nil {
		return false
	}
	for _, prefix := range c.TrustedIPs {
		if prefix.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}

func split(text string) []string {
	out := []string{}
	for _, item := range strings.Split(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

func integer(text string, fallback int) int {
	if n, err := strconv.Atoi(text); err == nil {
		return n
	}
	return fallback
}

// size reads nginx notation: 10, 10k, 10m, 1g.
func size(text string) int64 {
	text = strings.ToLower(text)
	factor := int64(1)
	for suffix, f := range map[string]int64{"k": 1 << 10, "m": 1 << 20, "g": 1 << 30} {
		if strings.HasSuffix(text, suffix) {
			text, factor = strings.TrimSuffix(text, suffix), f
			break
		}
	}
	return int64(integer(text, 0)) * factor
}
