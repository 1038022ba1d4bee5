package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestHCLAndJSONSayTheSame(t *testing.T) {
	hcl := `
consul_service      = "monitor"
node_probe_interval = "3s"
critical_threshold  = 2
external_node_meta { "kind" = "outside" }
telemetry { prometheus_retention_time = "1h" }
http_addr = "consul:8500"
ping_type = "udp"
`
	json := `{"consul_service": "monitor", "node_probe_interval": "3s", "critical_threshold": 2,
		"external_node_meta": {"kind": "outside"}, "telemetry": {"prometheus_retention_time": "1h"},
		"http_addr": "consul:8500", "ping_type": "udp"}`
	for name, text := range map[string]string{"a.hcl": hcl, "a.json": json} {
		config, err := load([]string{file(t, name, text)}, nil)
		if err != nil {
			t.Fatal(name, err)
		}
		if config.Service != "monitor" || config.ProbeInterval != 3*time.Second || config.Critical != 2 || !config.Metrics ||
			config.NodeMeta["kind"] != "outside" || config.client().Address != "consul:8500" {
			t.Errorf("%s: %+v", name, config)
		}
	}
}

func TestAFolderIsReadByNameAndOtherFilesAreNot(t *testing.T) {
	folder := t.TempDir()
	for name, text := range map[string]string{"1.hcl": `consul_service = "one"`, "2.json": `{"consul_service": "two"}`, "3.txt": "?"} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config, err := load(nil, []string{folder})
	if err != nil || config.Service != "two" {
		t.Error(config, err)
	}
}

func TestWrongSettingsNameTheKey(t *testing.T) {
	for text, want := range map[string]string{
		`consul_servce = "x"`:                        "consul_servce: no such setting",
		`node_probe_interval = "soon"`:               "node_probe_interval is soon: expected a duration",
		`node_probe_interval = "0s"`:                 "above zero",
		`log_json = "yes"`:                           "expected a bool",
		`passing_threshold = -1`:                     "0 or more",
		`https_cert_file = "/x"`:                     "go together",
		`external_node_meta = "x"`:                   "expected one block",
		`telemetry { prometheus_retention_time="x"}`: "telemetry",
	} {
		if _, err := load([]string{file(t, "a.hcl", text)}, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestTheEnvironmentIsConsulsOwn(t *testing.T) {
	t.Setenv("CONSUL_HTTP_ADDR", "from-environment:8500")
	token := file(t, "token", "secret")
	t.Setenv("CONSUL_HTTP_TOKEN_FILE", token)
	client := defaults().client()
	if client.Address != "from-environment:8500" || client.TokenFile != token {
		t.Errorf("%+v", client)
	}
}

func TestTheCommandLine(t *testing.T) {
	for _, each := range []struct {
		arguments []string
		code      int
		text      string
	}{
		{[]string{"-version"}, 0, "consul-esm v" + version + " (stand-in)"},
		{[]string{"-config-file=/does/not/exist"}, 1, "-config-file"},
		{[]string{"-nonsense"}, 1, "nonsense"},
	} {
		var out bytes.Buffer
		if code := run(each.arguments, &out); code != each.code || !strings.Contains(out.String(), each.text) {
			t.Errorf("%v: %d %s", each.arguments, code, out.String())
		}
	}
}
