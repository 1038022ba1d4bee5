package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/ini.v1"
)

// Settings are grafana.ini's, with the environment over it. Only those in defaults mean something here.
type Settings struct {
	values map[string]string
	others []string
}

func defaults(home string) map[string]string {
	return map[string]string{
		"paths.data": filepath.Join(home, "data"), "paths.provisioning": filepath.Join(home, "conf/provisioning"),
		"server.http_addr": "", "server.http_port": "3000", "server.root_url": "http://localhost:3000/",
		"security.admin_user": "admin", "security.admin_password": "admin", "security.disable_brute_force_login_protection": "false",
		"security.cookie_secure": "false", "auth.login_maximum_lifetime_duration": "30d", "auth.login_maximum_inactive_lifetime_duration": "7d",
		"auth.anonymous.enabled": "false", "auth.basic.enabled": "true", "auth.disable_login_form": "false", "metrics.enabled": "true",
	}
}

// loadSettings: file, then GF_SECTION_KEY, then GF_SECTION_KEY__FILE; both of a name are refused, as in the original.
func loadSettings(file, home string, environ []string) (*Settings, error) {
	s := &Settings{values: defaults(home)}
	parsed, err := ini.LooseLoad(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	for _, section := range parsed.Sections() {
		for _, key := range section.Keys() {
			s.set(section.Name()+"."+key.Name(), key.String())
		}
	}
	given := map[string]string{}
	for _, each := range environ {
		if name, value, _ := strings.Cut(each, "="); strings.HasPrefix(name, "GF_") && value != "" {
			given[name] = value
		}
	}
	for name, value := range given {
		if plain, isFile := strings.CutSuffix(name, "__FILE"); isFile {
			if given[plain] != "" {
				return nil, fmt.Errorf("ERROR: Both %s and %s are set (but are exclusive)", plain, name)
			}
			text, err := os.ReadFile(value)
			if err != nil {
				return nil, err
			}
			name, value = plain, strings.TrimRight(string(text), "\r\n")
		}
		s.set(s.named(name), value)
	}
	return s, s.check()
}

// named finds the setting that an environment name means: of GF_AUTH_ANONYMOUS_ENABLED, auth.anonymous.enabled.
func (s *Settings) named(environment string) string {
	for key := range s.values {
		if "GF_"+strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(key)) == environment {
			return key
		}
	}
	return environment
}

func (s *Settings) set(key, value string) {
	if _, known := s.values[key]; !known {
		s.others = append(s.others, key)
		return
	}
	s.values[key] = value
}

func (s *Settings) check() error {
	for key := range s.values {
		if strings.HasSuffix(key, "duration") {
			if _, err := lifetime(s.values[key]); err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
	}
	_, err := strconv.ParseUint(s.values["server.http_port"], 10, 16)
	return err
}

// unused are settings of the original that have no effect here.
func (s *Settings) unused() []string {
	slices.Sort(s.others)
	return s.others
}

func (s *Settings) text(section, key string) string { return s.values[section+"."+key] }

func (s *Settings) on(section, key string) bool {
	on, _ := strconv.ParseBool(s.text(section, key))
	return on
}

// lifetime is a duration that may be in days.
func lifetime(text string) (time.Duration, error) {
	if days, isDays := strings.CutSuffix(text, "d"); isDays {
		number, err := strconv.Atoi(days)
		return time.Duration(number) * 24 * time.Hour, err
	}
	return time.ParseDuration(text)
}
