package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"
)

// objectIndex is not the original's .kibana: an original that is started later makes its own, and imports what was exported.
const objectIndex = ".kibana-standin"

// Object is a saved object as the API shows it.
type Object struct {
	ID         string            `json:"id"`
	Type       string            `json:"type"`
	Attributes json.RawMessage   `json:"attributes"`
	References []json.RawMessage `json:"references"`
	Updated    string            `json:"updated_at"`
	Version    string            `json:"version,omitempty"`
	Migration  map[string]string `json:"migrationVersion,omitempty"`
	Title      string            `json:"-"`
}

// stored is its document.
type stored struct {
	Object
	Search string `json:"search_title"`
}

// Objects keeps saved objects in Elasticsearch, so that Kibana itself keeps nothing.
type Objects struct {
	elastic  *Elastic
	prepared atomic.Bool
}

// kinds of objects that can be saved.
var kinds = map[string]bool{
	"index-pattern": true, "search": true, "visualization": true, "dashboard": true, "lens": true, "query": true, "tag": true, "config": true, "url": true,
}

// prepare makes the index once: attributes are kept and not searched.
func (o *Objects) prepare(ctx context.Context) error {
	if o.prepared.Load() {
		return nil
	}
	err := o.elastic.ask(ctx, http.MethodHead, "/"+objectIndex, nil, nil)
	if notFound(err) {
		err = o.elastic.ask(ctx, http.MethodPut, "/"+objectIndex, map[string]any{
			"settings": map[string]any{"number_of_shards": 1, "number_of_replicas": 0, "hidden": true},
			"mappings": map[string]any{"dynamic": false, "properties": map[string]any{
				"type": map[string]string{"type": "keyword"}, "updated_at": map[string]string{"type": "date"},
				"search_title": map[string]any{"type": "text", "fields": map[string]any{"keyword": map[string]string{"type": "keyword"}}},
			}},
		}, nil)
	}
	o.prepared.Store(err == nil)
	return err
}

func (o *Objects) path(kind, id string) string { return url.PathEscape(kind + ":" + id) }

// put writes an object; without overwrite, one that is there is a conflict (409).
func (o *Objects) put(ctx context.Context, object *Object, overwrite bool) error {
	if object.References == nil {
		object.References = []json.RawMessage{}
	}
	var titled struct{ Title string }
	if err := json.Unmarshal(object.Attributes, &titled); err != nil {
		return &refusal{http.StatusBadRequest, nil}
	}
	object.Updated = time.Now().UTC().Format("2006-01-02T15:04:05.000Z")
	method := "/_create/"
	if overwrite {
		method = "/_doc/"
	}
	var written document
	err := o.elastic.ask(ctx, http.MethodPut, "/"+objectIndex+method+o.path(object.Type, object.ID)+"?refresh=wait_for", stored{*object, titled.Title}, &written)
	object.Version = written.version()
	return err
}

// document is what Elasticsearch says of one.
type document struct {
	Number  int    `json:"_seq_no"`
	Term    int    `json:"_primary_term"`
	Source  stored `json:"_source"`
	Version int    `json:"_version"`
}

func (d document) version() string { return fmt.Sprintf("WzAsMV0-%d-%d", d.Number, d.Term) }

func (d document) object() Object {
	object := d.Source.Object
	object.Version = d.version()
	return object
}

func (o *Objects) get(ctx context.Context, kind, id string) (Object, error) {
	var found document
	err := o.elastic.ask(ctx, http.MethodGet, "/"+objectIndex+"/_doc/"+o.path(kind, id), nil, &found)
	return found.object(), err
}

func (o *Objects) remove(ctx context.Context, kind, id string) error {
	return o.elastic.ask(ctx, http.MethodDelete, "/"+objectIndex+"/_doc/"+o.path(kind, id)+"?refresh=wait_for", nil, nil)
}

// find lists objects of some types whose title matches, newest page first by title.
func (o *Objects) find(ctx context.Context, types []string, search string, page, size int) (found []Object, total int, err error) {
	filter := []any{map[string]any{"terms": map[string]any{"type": types}}}
	if search != "" {
		filter = append(filter, map[string]any{"simple_query_string": map[string]any{"query": search, "fields": []string{"search_title"}, "default_operator": "and"}})
	}
	var answer struct {
		Hits struct {
			Total struct{ Value int }
			Hits  []document
		}
	}
	err = o.elastic.ask(ctx, http.MethodPost, "/"+objectIndex+"/_search", map[string]any{
		"from": (page - 1) * size, "size": size, "seq_no_primary_term": true, "query": map[string]any{"bool": map[string]any{"filter": filter}},
		"sort": []any{map[string]string{"type": "asc"}, map[string]string{"search_title.keyword": "asc"}},
	}, &answer)
	found = []Object{}
	for _, each := range answer.Hits.Hits {
		found = append(found, each.object())
	}
	return found, answer.Hits.Total.Value, err
}
