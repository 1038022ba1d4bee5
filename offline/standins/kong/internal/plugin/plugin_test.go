package plugin

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"nexus/standins/kong/internal/entity"
	"nexus/standins/kong/internal/schema"
	"nexus/standins/kong/internal/store"
)

// marker leaves its configured word in the log, to show which ran and when.
type marker struct{ word string }

func (m *marker) Access(x *Exchange) {
	before, _ := x.LogFields["ran"].(string)
	x.AddLog("ran", before+m.word)
}

func marking(name string, priority int) Definition {
	return Definition{
		Name: name, Priority: priority, Config: []schema.Field{schema.Text("word")},
		New: func(config map[string]any) any { return &marker{str(config, "word")} },
	}
}

func TestPluginsRunByPriorityWithTheirMostSpecificConfiguration(t *testing.T) {
	registry := NewRegistry([]Definition{marking("late", 1), marking("early", 9)})
	ctx := context.Background()
	s, err := store.Open(ctx, &store.Memory{}, entity.All(registry))
	if err != nil {
		t.Fatal(err)
	}
	insert := func(kind string, fields map[string]any) map[string]any {
		e, err := s.Insert(ctx, kind, fields)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	ref := func(e map[string]any) map[string]any { return map[string]any{"id": e["id"]} }
	service := insert("services", map[string]any{"name": "s", "host": "h"})
	route := insert("routes", map[string]any{"paths": []any{"/"}, "service": ref(service)})
	ann := insert("consumers", map[string]any{"username": "ann"})
	for word, scope := range map[string]map[string]any{
		"g": {}, "s": {"service": ref(service)}, "r": {"route": ref(route)},
		"b": {"route": ref(route), "service": ref(service)}, "c": {"consumer": ref(ann)},
		"x": {"consumer": ref(ann), "route": ref(route)},
	} {
		scope["name"], scope["config"] = "late", map[string]any{"word": word}
		insert("plugins", scope)
	}
	insert("plugins", map[string]any{"name": "early", "config": map[string]any{"word": "E"}})
	chain := Build(registry, s.State(), NewCache())
	for _, c := range []struct {
		route, service, consumer map[string]any
		want                     string
	}{
		{nil, nil, nil, "Eg"}, {nil, service, nil, "Es"}, {route, nil, nil, "Er"}, {route, service, nil, "Eb"},
		{nil, service, ann, "Ec"}, {route, service, ann, "Ex"},
	} {
		x := &Exchange{Route: c.route, Service: c.service, Consumer: c.consumer}
		chain.Access(x)
		if x.LogFields["ran"] != c.want {
			t.Errorf("got %v, want %s", x.LogFields["ran"], c.want)
		}
	}
}

func TestAnInstanceLivesAsLongAsItsConfiguration(t *testing.T) {
	definition := marking("m", 1)
	cache := NewCache()
	e := store.Entity{"id": "1", "config": map[string]any{"word": "a"}}
	first := cache.instance(&definition, e)
	if cache.instance(&definition, store.Entity{"id": "1", "tags": []any{"t"}, "config": map[string]any{"word": "a"}}) != first {
		t.Error("an unrelated change made a new instance")
	}
	if cache.instance(&definition, store.Entity{"id": "1", "config": map[string]any{"word": "b"}}) == first {
		t.Error("a new configuration kept the old instance")
	}
}

func TestErrorsComeInTheTypeTheClientAccepts(t *testing.T) {
	for accept, want := range map[string]string{
		"": mimePlain, "*/*": mimeJSON, "text/html": mimeHTML, "text/*": mimePlain, "application/xml": mimeXML,
		"text/html;q=0.5, application/json": mimeJSON, "image/png": mimeJSON,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		if accept != "" {
			r.Header.Set("Accept", accept)
		}
		if _, got := ErrorBody(r, "m", "id"); got != want {
			t.Errorf("%q: %s", accept, got)
		}
	}
}
