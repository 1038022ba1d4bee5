package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"nexus/standins/logstash/internal/event"
)

const home = "/usr/share/logstash"

// settings are those of logstash.yml that mean something here, by their names there.
type settings map[string]string

func defaults() settings {
	return settings{
		"node.name": hostname(), "path.data": home + "/data", "path.config": home + "/pipeline", "config.string": "",
		"config.test_and_exit": "false", "http.enabled": "true", "http.host": "127.0.0.1", "http.port": "9600-9700",
		"queue.type": "memory", "queue.page_capacity": "64mb", "queue.max_bytes": "1024mb", "pipeline.id": "main",
		"pipeline.workers": "1", "pipeline.batch.size": "125", "pipeline.batch.delay": "50", "log.level": "info",
	}
}

// renamed are other names of a setting; ignored ones say how the original's Java, logs and reloads work.
var (
	renamed = map[string]string{"api.http.host": "http.host", "api.http.port": "http.port", "api.enabled": "http.enabled"}
	ignored = []string{
		"config.reload.automatic", "config.reload.interval", "config.support_escapes", "config.debug", "path.logs", "path.plugins",
		"log.format", "pipeline.ordered", "pipeline.ecs_compatibility", "pipeline.unsafe_shutdown", "queue.drain", "queue.checkpoint.writes",
		"queue.checkpoint.acks", "queue.checkpoint.interval", "dead_letter_queue.enable", "xpack.monitoring.enabled", "monitoring.enabled",
		"queue.max_events", "pipeline.separate_logs", "slowlog.threshold.warn", "pipeline.java_execution", "pipeline.plugin_classloaders",
	}
	flagNames = map[string]string{
		"f": "path.config", "path.config": "path.config", "e": "config.string", "config.string": "config.string", "path.data": "path.data",
		"http.host": "http.host", "api.http.host": "http.host", "http.port": "http.port", "api.http.port": "http.port",
		"log.level": "log.level", "n": "node.name", "node.name": "node.name", "w": "pipeline.workers", "pipeline.workers": "pipeline.workers",
		"b": "pipeline.batch.size", "pipeline.batch.size": "pipeline.batch.size",
	}
)

// arguments reads the command line and logstash.yml; the command line wins.
func arguments(given []string, out io.Writer) (s settings, show bool, err error) {
	flags := flag.NewFlagSet("logstash", flag.ContinueOnError)
	flags.SetOutput(out)
	chosen := map[string]string{}
	for name, setting := range flagNames {
		flags.Func(name, setting, func(value string) error { chosen[setting] = value; return nil })
	}
	folder := flags.String("path.settings", home+"/config", "the `folder` of logstash.yml")
	version := flags.Bool("version", false, "print the version")
	flags.BoolVar(version, "V", false, "print the version")
	test := flags.Bool("config.test_and_exit", false, "check the configuration and exit")
	flags.BoolVar(test, "t", false, "check the configuration and exit")
	if err := flags.Parse(given); err != nil || *version {
		return nil, *version, err
	}
	if flags.NArg() > 0 {
		return nil, false, fmt.Errorf("ERROR: Unknown command '%s'", flags.Arg(0))
	}
	s = defaults()
	if err := s.file(filepath.Join(*folder, "logstash.yml")); err != nil {
		return nil, false, err
	}
	for setting, value := range chosen {
		s[setting] = value
	}
	if *test {
		s["config.test_and_exit"] = "true"
	}
	return s, false, s.check()
}

func (s settings) file(path string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	var tree map[string]any
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return s.merge(path, "", tree)
}

// merge takes `a.b: 1` and `a: {b: 1}` alike.
func (s settings) merge(path, prefix string, tree map[string]any) error {
	for key, value := range tree {
		name := prefix + key
		if nested, ok := value.(map[string]any); ok {
			if err := s.merge(path, name+".", nested); err != nil {
				return err
			}
			continue
		}
		if other, ok := renamed[name]; ok {
			name = other
		}
		if _, known := s[name]; !known {
			if slices.Contains(ignored, name) {
				continue
			}
			return fmt.Errorf("%s: Setting %q doesn't exist. Please check if you haven't made a typo.", path, name)
		}
		text, err := event.Environment(fmt.Sprint(value))
		if err != nil {
			return err
		}
		s[name] = text
	}
	return nil
}

func (s settings) check() error {
	if kind := s["queue.type"]; kind != "memory" && kind != "persisted" {
		return fmt.Errorf("Setting \"queue.type\" must be one of [\"memory\", \"persisted\"], not %q", kind)
	}
	for _, name := range []string{"queue.page_capacity", "queue.max_bytes"} {
		if _, err := size(s[name]); err != nil {
			return fmt.Errorf("Setting %q: %w", name, err)
		}
	}
	for _, name := range []string{"pipeline.batch.size", "pipeline.batch.delay", "pipeline.workers"} {
		if number, err := strconv.Atoi(s[name]); err != nil || number < 1 {
			return fmt.Errorf("Setting %q must be a number above 0, not %q", name, s[name])
		}
	}
	return nil
}

func (s settings) number(name string) int { number, _ := strconv.Atoi(s[name]); return number }

func (s settings) delay() time.Duration {
	return time.Duration(s.number("pipeline.batch.delay")) * time.Millisecond
}

// ports are one, or a range of which the first free one is taken.
func (s settings) ports() (first, last int) {
	from, to, isRange := strings.Cut(s["http.port"], "-")
	first, _ = strconv.Atoi(from)
	if last = first; isRange {
		last, _ = strconv.Atoi(to)
	}
	return first, last
}

// pipelineText is what path.config (a file, a folder or a pattern) has, its files in order.
func (s settings) pipelineText() (string, error) {
	if s["config.string"] != "" {
		return s["config.string"], nil
	}
	pattern := s["path.config"]
	if info, err := os.Stat(pattern); err == nil && info.IsDir() {
		pattern = filepath.Join(pattern, "*")
	}
	files, err := filepath.Glob(pattern)
	if err != nil {
		return "", err
	}
	var texts []string
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return "", err
		}
		texts = append(texts, string(text))
	}
	if len(texts) == 0 {
		return "", fmt.Errorf("No config files found in path %s", pattern)
	}
	return strings.Join(texts, "\n"), nil
}

var sizes = regexp.MustCompile(`^(\d+)(b|kb|mb|gb|)$`)

func size(text string) (int64, error) {
	parts := sizes.FindStringSubmatch(strings.ToLower(text))
	if parts == nil {
		return 0, fmt.Errorf("%q is not a size such as 64mb", text)
	}
	number, err := strconv.ParseInt(parts[1], 10, 64)
	return number << map[string]int{"kb": 10, "mb": 20, "gb": 30}[parts[2]], err
}

func hostname() string {
	name, _ := os.Hostname()
	return name
}
