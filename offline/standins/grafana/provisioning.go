package main

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gopkg.in/yaml.v3"
)

// Datasource is a row of provisioning/datasources; secrets stay here.
type Datasource struct {
	ID        int               `yaml:"-" json:"id"`
	UID       string            `yaml:"uid" json:"uid"`
	OrgID     int               `yaml:"orgId" json:"orgId"`
	Name      string            `yaml:"name" json:"name"`
	Type      string            `yaml:"type" json:"type"`
	Access    string            `yaml:"access" json:"access"`
	URL       string            `yaml:"url" json:"url"`
	User      string            `yaml:"basicAuthUser" json:"basicAuthUser"`
	BasicAuth bool              `yaml:"basicAuth" json:"basicAuth"`
	Default   bool              `yaml:"isDefault" json:"isDefault"`
	Editable  bool              `yaml:"editable" json:"-"`
	ReadOnly  bool              `yaml:"-" json:"readOnly"`
	JSON      map[string]any    `yaml:"jsonData" json:"jsonData"`
	Secure    map[string]string `yaml:"secureJsonData" json:"-"`
	Database  string            `yaml:"database" json:"database"`
	Version   int               `yaml:"version" json:"version"`
}

// Dashboard is a dashboard's JSON with what is known beside it.
type Dashboard struct {
	UID, Title, Folder, FolderUID string
	Tags                          []string
	Source                        string // the provisioned file; empty: saved by a person
	Body                          map[string]any
}

// provider is a row of provisioning/dashboards.
type provider struct {
	Name      string `yaml:"name"`
	Folder    string `yaml:"folder"`
	FolderUID string `yaml:"folderUid"`
	Type      string `yaml:"type"`
	Interval  int    `yaml:"updateIntervalSeconds"`
	Options   struct {
		Path      string `yaml:"path"`
		Structure bool   `yaml:"foldersFromFilesStructure"`
	} `yaml:"options"`
}

// Provisioning is what the provisioning folder declares.
type Provisioning struct {
	folder string
	logger *slog.Logger

	mutex       sync.RWMutex
	datasources []Datasource
	dashboards  map[string]Dashboard
	providers   []provider
}

func newProvisioning(folder string, logger *slog.Logger) *Provisioning {
	return &Provisioning{folder: folder, logger: logger}
}

// known types of data sources.
var known = []string{"prometheus", "elasticsearch"}

// load reads everything; a file that is wrong stops the server's start, as in the original.
func (p *Provisioning) load() error {
	var sources struct {
		Datasources []Datasource `yaml:"datasources"`
	}
	if err := p.files("datasources", func(text []byte) error {
		var one struct {
			Datasources []Datasource `yaml:"datasources"`
		}
		err := yaml.Unmarshal(text, &one)
		sources.Datasources = append(sources.Datasources, one.Datasources...)
		return err
	}); err != nil {
		return err
	}
	for i := range sources.Datasources {
		if err := sources.Datasources[i].complete(i + 1); err != nil {
			return fmt.Errorf("Datasource provisioning error: %w", err)
		}
	}
	var providers []provider
	if err := p.files("dashboards", func(text []byte) error {
		var one struct {
			Providers []provider `yaml:"providers"`
		}
		err := yaml.Unmarshal(text, &one)
		providers = append(providers, one.Providers...)
		return err
	}); err != nil {
		return err
	}
	p.mutex.Lock()
	p.datasources, p.providers = sources.Datasources, providers
	p.mutex.Unlock()
	p.readDashboards()
	return nil
}

func (p *Provisioning) files(kind string, read func([]byte) error) error {
	for _, pattern := range []string{"*.yaml", "*.yml"} {
		found, _ := filepath.Glob(filepath.Join(p.folder, kind, pattern))
		for _, file := range found {
			text, err := os.ReadFile(file)
			if err == nil {
				err = read([]byte(expand(string(text))))
			}
			if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	return nil
}

// expand fills in $NAME and ${NAME}; `$__file{path}` is the file's content; $$ is a dollar.
func expand(text string) string {
	for {
		before, rest, found := strings.Cut(text, "$__file{")
		path, after, closed := strings.Cut(rest, "}")
		if !found || !closed {
			break
		}
		content, _ := os.ReadFile(path)
		text = before + strings.ReplaceAll(strings.TrimSpace(string(content)), "$", "$$") + after
	}
	return os.Expand(text, func(name string) string {
		if name == "$" {
			return "$"
		}
		return os.Getenv(name)
	})
}

func (d *Datasource) complete(id int) error {
	if d.Name == "" || !slices.Contains(known, d.Type) {
		return fmt.Errorf("data source %q has the type %q; this stand-in has %v", d.Name, d.Type, known)
	}
	if d.UID == "" {
		d.UID = generated(d.Name)
	}
	d.ID, d.ReadOnly, d.OrgID = id, !d.Editable, 1
	if d.Access == "" {
		d.Access = "proxy"
	}
	if d.JSON == nil {
		d.JSON = map[string]any{}
	}
	return nil
}

func generated(name string) string {
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(name))
	return fmt.Sprintf("P%016X", hash.Sum64())
}

// readDashboards takes every JSON file of the providers' folders; a wrong one is reported, and the others are shown.
func (p *Provisioning) readDashboards() {
	read := map[string]Dashboard{}
	for _, each := range p.providers {
		_ = filepath.WalkDir(each.Options.Path, func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() || filepath.Ext(path) != ".json" {
				return nil
			}
			dashboard, err := each.read(path)
			if err != nil {
				p.logger.Error("failed to load dashboard", "file", path, "error", err)
				return nil
			}
			if other, taken := read[dashboard.UID]; taken {
				p.logger.Warn("the same UID is used more than once", "uid", dashboard.UID, "files", []string{other.Source, path})
			}
			read[dashboard.UID] = dashboard
			return nil
		})
	}
	p.mutex.Lock()
	p.dashboards = read
	p.mutex.Unlock()
}

func (p provider) read(path string) (Dashboard, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Dashboard{}, err
	}
	d := Dashboard{Folder: p.Folder, FolderUID: p.FolderUID, Source: path}
	if err := json.Unmarshal(text, &d.Body); err != nil {
		return d, err
	}
	if inside, _ := filepath.Rel(p.Options.Path, filepath.Dir(path)); p.Options.Structure && inside != "." {
		d.Folder = filepath.Base(inside)
	}
	if d.Folder != "" && d.FolderUID == "" {
		d.FolderUID = generated(d.Folder)
	}
	d.describe()
	if d.Title == "" {
		return d, fmt.Errorf("Dashboard title cannot be empty")
	}
	if d.UID == "" {
		d.UID = generated(path)
		d.Body["uid"] = d.UID
	}
	return d, nil
}

func (d *Dashboard) describe() {
	d.UID, _ = d.Body["uid"].(string)
	d.Title, _ = d.Body["title"].(string)
	tags, _ := d.Body["tags"].([]any)
	d.Tags = []string{}
	for _, tag := range tags {
		d.Tags = append(d.Tags, fmt.Sprint(tag))
	}
}

// watch reads dashboards again at the shortest interval that a provider asks for (the original's default is 10 s).
func (p *Provisioning) watch(ctx context.Context) {
	interval := 10 * time.Second
	for _, each := range p.providers {
		if each.Interval > 0 {
			interval = min(interval, time.Duration(each.Interval)*time.Second)
		}
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	last := p.stamp()
	for {
		select {
		case <-ticker.C:
			if now := p.stamp(); now != last {
				last = now
				p.readDashboards()
			}
		case <-ctx.Done():
			return
		}
	}
}

// stamp changes when a file of a provider's folder does.
func (p *Provisioning) stamp() string {
	var stamp strings.Builder
	for _, each := range p.providers {
		_ = filepath.WalkDir(each.Options.Path, func(path string, entry os.DirEntry, err error) error {
			if err == nil && filepath.Ext(path) == ".json" {
				if info, err := os.Stat(path); err == nil {
					fmt.Fprintln(&stamp, path, info.Size(), info.ModTime().UnixNano())
				}
			}
			return nil
		})
	}
	return stamp.String()
}

func (p *Provisioning) sources() []Datasource {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	return p.datasources
}

func (p *Provisioning) boards() map[string]Dashboard {
	p.mutex.RLock()
	defer p.mutex.RUnlock()
	return p.dashboards
}
