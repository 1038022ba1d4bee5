package main

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// Settings are those of kibana.yml that mean something here. The environment's names are the settings' in capitals.
type Settings struct {
	values map[string]string
}

func defaults() map[string]string {
	name, _ := os.Hostname()
	return map[string]string{
		"server.host": "localhost", "server.port": "5601", "server.name": name, "server.basePath": "", "server.publicBaseUrl": "",
		"elasticsearch.hosts": "http://localhost:9200", "elasticsearch.username": "", "elasticsearch.password": "",
		"elasticsearch.requestTimeout": "30000",
	}
}

// accepted settings of the original have no effect here.
var accepted = []string{
	"telemetry.", "xpack.", "monitoring.", "newsfeed.", "logging.", "pid.", "path.", "i18n.", "elasticsearch.ssl.", "server.ssl.enabled",
	"server.shutdownTimeout", "server.rewriteBasePath", "kibana.", "map.", "usageCollection.", "migrations.", "node.", "interactiveSetup.",
}

func loadSettings(file string, environ []string) (*Settings, error) {
	s := &Settings{values: defaults()}
	var tree map[string]any
	text, err := os.ReadFile(file)
	if err == nil {
		err = yaml.Unmarshal(text, &tree)
	} else if os.IsNotExist(err) {
		err = nil
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := s.merge("", tree); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for name := range s.values {
		upper := strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(name))
		for _, each := range environ {
			if given, value, _ := strings.Cut(each, "="); given == upper && value != "" {
				s.values[name] = value
			}
		}
	}
	return s, nil
}

func (s *Settings) merge(prefix string, tree map[string]any) error {
	for key, value := range tree {
		name := prefix + key
		if nested, ok := value.(map[string]any); ok {
			if err := s.merge(name+".", nested); err != nil {
				return err
			}
			continue
		}
		if _, known := s.values[name]; !known {
			if slices.ContainsFunc(accepted, func(start string) bool { return strings.HasPrefix(name, start) }) {
				continue
			}
			return fmt.Errorf("[config validation of [%s]]: definition for this key is missing", name)
		}
		if list, ok := value.([]any); ok {
			parts := make([]string, len(list))
			for i, each := range list {
				parts[i] = fmt.Sprint(each)
			}
			value = strings.Join(parts, ",")
		}
		s.values[name] = fmt.Sprint(value)
	}
	return nil
}

// hosts are Elasticsearch's addresses: `a,b`, or a list as the environment writes it.
func (s *Settings) hosts() []string {
	text := strings.Trim(s.values["elasticsearch.hosts"], "[]")
	var hosts []string
	for each := range strings.SplitSeq(text, ",") {
		if host := strings.TrimRight(strings.Trim(each, `" '`), "/"); host != "" {
			hosts = append(hosts, host)
		}
	}
	return hosts
}
