package main

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/go-rootcerts"
	"github.com/hashicorp/hcl"
)

// Config is the original's configuration, as far as it applies to one instance; unknown keys are refused.
type Config struct {
	LogLevel   string
	LogJSON    bool
	InstanceID string
	Service    string
	Tag        string
	NodeMeta   map[string]string

	ProbeInterval time.Duration
	Reconnect     time.Duration
	Passing       int
	Critical      int

	Address       string
	Token         string
	Datacenter    string
	Partition     string
	ConsulTLS     api.TLSConfig
	CheckCAFile   string
	CheckCAPath   string
	CheckCertFile string
	CheckKeyFile  string

	ClientAddress string
	Metrics       bool
}

func defaults() *Config {
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	text := hex.EncodeToString(id)
	return &Config{
		LogLevel:      "INFO",
		InstanceID:    strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-"),
		Service:       "consul-esm",
		NodeMeta:      map[string]string{"external-node": "true"},
		ProbeInterval: 10 * time.Second,
		Reconnect:     72 * time.Hour,
	}
}

// ignored are settings of the original without a meaning for a single instance that keeps nothing.
var ignored = []string{
	"consul_kv_path", "disable_coordinate_updates", "enable_syslog", "syslog_facility", "ping_type", "enable_debug",
	"log_file", "log_rotate_bytes", "log_rotate_duration", "log_rotate_max_files", "enable_agentless",
}

// load reads the files, then the folders' .hcl and .json files by name; later ones win.
func load(files, folders []string) (*Config, error) {
	for _, folder := range folders {
		found, err := os.ReadDir(folder)
		if err != nil {
			return nil, fmt.Errorf("-config-dir: %w", err)
		}
		for _, file := range found {
			if end := filepath.Ext(file.Name()); end == ".hcl" || end == ".json" {
				files = append(files, filepath.Join(folder, file.Name()))
			}
		}
	}
	config := defaults()
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("-config-file: %w", err)
		}
		if err := config.merge(string(text)); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
	}
	return config, config.validate()
}

func (c *Config) merge(text string) error {
	var given map[string]any
	if err := hcl.Decode(&given, text); err != nil {
		return err
	}
	set := c.setters()
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if slices.Contains(ignored, key) {
			continue
		}
		setter, known := set[key]
		if !known {
			return fmt.Errorf("%s: no such setting", key)
		}
		if err := setter(given[key]); err != nil {
			return fmt.Errorf("%s is %v: %w", key, given[key], err)
		}
	}
	return nil
}

func (c *Config) setters() map[string]func(any) error {
	return map[string]func(any) error{
		"log_level":              into(&c.LogLevel),
		"log_json":               into(&c.LogJSON),
		"instance_id":            nonEmpty(&c.InstanceID),
		"consul_service":         nonEmpty(&c.Service),
		"consul_service_tag":     into(&c.Tag),
		"external_node_meta":     c.setNodeMeta,
		"node_probe_interval":    duration(&c.ProbeInterval),
		"node_reconnect_timeout": duration(&c.Reconnect),
		"passing_threshold":      into(&c.Passing),
		"critical_threshold":     into(&c.Critical),
		"http_addr":              into(&c.Address),
		"token":                  into(&c.Token),
		"datacenter":             into(&c.Datacenter),
		"partition":              into(&c.Partition),
		"ca_file":                into(&c.ConsulTLS.CAFile),
		"ca_path":                into(&c.ConsulTLS.CAPath),
		"cert_file":              into(&c.ConsulTLS.CertFile),
		"key_file":               into(&c.ConsulTLS.KeyFile),
		"tls_server_name":        into(&c.ConsulTLS.Address),
		"https_ca_file":          into(&c.CheckCAFile),
		"https_ca_path":          into(&c.CheckCAPath),
		"https_cert_file":        into(&c.CheckCertFile),
		"https_key_file":         into(&c.CheckKeyFile),
		"client_address":         into(&c.ClientAddress),
		"telemetry":              c.setTelemetry,
	}
}

func into[T any](target *T) func(any) error {
	return func(value any) error {
		typed, ok := value.(T)
		if !ok {
			return fmt.Errorf("expected a %T", *target)
		}
		*target = typed
		return nil
	}
}

// nonEmpty leaves the default where the file says "".
func nonEmpty(target *string) func(any) error {
	return func(value any) error {
		if value == "" {
			return nil
		}
		return into(target)(value)
	}
}

func duration(target *time.Duration) func(any) error {
	return func(value any) error {
		parsed, err := time.ParseDuration(fmt.Sprint(value))
		if err != nil || parsed <= 0 {
			return errors.New(`expected a duration above zero, such as "10s"`)
		}
		*target = parsed
		return nil
	}
}

// block is one HCL block: the decoder gives a list of maps.
func block(value any) (map[string]any, error) {
	if blocks, ok := value.([]map[string]any); ok && len(blocks) == 1 {
		return blocks[0], nil
	}
	return nil, errors.New("expected one block")
}

func (c *Config) setNodeMeta(value any) error {
	pairs, err := block(value)
	if err != nil {
		return err
	}
	c.NodeMeta = map[string]string{}
	for key, each := range pairs {
		c.NodeMeta[key] = fmt.Sprint(each)
	}
	return nil
}

// setTelemetry: only Prometheus' endpoint exists here; the original serves it from a retention of 1 ns on.
func (c *Config) setTelemetry(value any) error {
	pairs, err := block(value)
	if err != nil {
		return err
	}
	if retention, given := pairs["prometheus_retention_time"]; given {
		parsed, err := time.ParseDuration(fmt.Sprint(retention))
		if err != nil {
			return err
		}
		c.Metrics = parsed > 0
	}
	return nil
}

func (c *Config) validate() error {
	if c.Passing < 0 || c.Critical < 0 {
		return errors.New("passing_threshold and critical_threshold must be 0 or more")
	}
	if (c.CheckCertFile == "") != (c.CheckKeyFile == "") {
		return errors.New("https_cert_file and https_key_file go together")
	}
	return nil
}

// client is how Consul is reached: its own environment names (CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN_FILE and the others),
// then the configuration.
func (c *Config) client() *api.Config {
	config := api.DefaultConfig()
	for target, value := range map[*string]string{
		&config.Address: c.Address, &config.Token: c.Token, &config.Datacenter: c.Datacenter,
		&config.Partition: c.Partition, &config.TLSConfig.CAFile: c.ConsulTLS.CAFile,
		&config.TLSConfig.CAPath: c.ConsulTLS.CAPath, &config.TLSConfig.CertFile: c.ConsulTLS.CertFile,
		&config.TLSConfig.KeyFile: c.ConsulTLS.KeyFile, &config.TLSConfig.Address: c.ConsulTLS.Address,
	} {
		if value != "" {
			*target = value
		}
	}
	if c.Token != "" {
		config.TokenFile = ""
	}
	return config
}

// checkTLS is for HTTPS checks.
func (c *Config) checkTLS() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	err := rootcerts.ConfigureTLS(config, &rootcerts.Config{CAFile: c.CheckCAFile, CAPath: c.CheckCAPath})
	if err == nil && c.CheckCertFile != "" {
		var certificate tls.Certificate
		certificate, err = tls.LoadX509KeyPair(c.CheckCertFile, c.CheckKeyFile)
		config.Certificates = []tls.Certificate{certificate}
	}
	if err != nil {
		return nil, fmt.Errorf("the certificates for HTTPS checks cannot be used: %w", err)
	}
	return config, nil
}

func (c *Config) logger(out io.Writer) *slog.Logger {
	level := slog.LevelInfo
	_ = level.UnmarshalText([]byte(strings.ReplaceAll(c.LogLevel, "TRACE", "DEBUG")))
	options := &slog.HandlerOptions{Level: level}
	if c.LogJSON {
		return slog.New(slog.NewJSONHandler(out, options))
	}
	return slog.New(slog.NewTextHandler(out, options))
}
