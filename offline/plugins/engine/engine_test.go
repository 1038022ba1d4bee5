package engine

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// table is what adding a resource type takes: one row.
const table = `
name: demo
version: 1.2.3
provider:
  address: "{address}"
  config:
    address: {type: string, required: true}
    limit: {type: integer, default: 3}
resources:
  demo:index/thing:Thing:
    create: POST /things
    read: GET /things/{id}
    update: PATCH /things/{id}
    delete: DELETE /things/{id}
    id: "{.id}"
    unique: [name]
    fields:
      name: {type: string, required: true}
      kind: {type: string, replace: true}
      size: {type: integer, default: 5}
      on: {type: boolean, default: true}
      tags: {type: list string}
      members: {type: set string}
      labels: {type: map string}
      every: {type: duration}
      config: {type: json}
      chosen: {type: string, computed: true}
      token: {type: string, secret: true}
      ownerId: {type: string, api: owner.id}
      probe:
        type: object
        computed: true
        fields:
          path: {type: string, default: /}
          successes: {type: integer, computed: true}
`

func thing(t *testing.T) *Row {
	t.Helper()
	parsed, err := Parse([]byte(table))
	if err != nil {
		t.Fatal(err)
	}
	return parsed.Resources["demo:index/thing:Thing"]
}

func TestEveryTableThatShipsCanBeRead(t *testing.T) {
	files, _ := filepath.Glob("../tables/*.yaml")
	if len(files) != 3 {
		t.Fatalf("found %v", files)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(text); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestATableWithAWrongRowIsRefused(t *testing.T) {
	for text, want := range map[string]string{
		"resources: {a: {fields: {x: {type: strin}}}}": "unknown type",
		"resources: {a: {fields: {x: {type: list}}}}":  "element type",
		"resources: {a: {creat: POST /}}":              "creat",
	} {
		if _, err := Parse([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestCheck(t *testing.T) {
	for name, c := range map[string]struct {
		in       values
		failures []string
	}{
		"good":              {values{"name": "a"}, nil},
		"unknown, near":     {values{"name": "a", "sise": 1.0}, []string{`sise: unknown property "sise"; did you mean "size"?`}},
		"missing":           {values{}, []string{`name: missing required property "name"`}},
		"fraction":          {values{"name": "a", "size": 1.5}, []string{"size: size must be an integer, not a number with a fraction"}},
		"text for a list":   {values{"name": "a", "tags": "x"}, []string{"tags: tags must be a list, not a string"}},
		"element":           {values{"name": "a", "tags": []any{[]any{}}}, []string{"tags[0]: tags[0] must be a string, not a list"}},
		"nested":            {values{"name": "a", "probe": values{"pth": "/"}}, []string{`probe.pth: unknown property "probe.pth"; did you mean "path"?`}},
		"duration":          {values{"name": "a", "every": "soon"}, []string{`every: every must be a duration such as 10s or 1m30s, not "soon"`}},
		"unknown value":     {values{"name": unknown{}, "size": unknown{}, "tags": unknown{}}, nil},
		"number as text":    {values{"name": "a", "size": "7", "on": "false"}, nil},
		"not a JSON object": {values{"name": "a", "config": "[1]"}, []string{"config: config must be the text of a JSON object"}},
	} {
		check := &checker{}
		check.object(thing(t).Fields, c.in, "")
		got := []string{}
		for _, failure := range check.failures {
			got = append(got, failure.Property+": "+failure.Reason)
		}
		for i := range max(len(got), len(c.failures)) {
			if i >= len(got) || i >= len(c.failures) || !strings.HasPrefix(got[i], c.failures[i]) {
				t.Errorf("%s: got %q, want %q", name, got, c.failures)
				break
			}
		}
	}
}

func TestCheckAddsDefaultsAtAnyDepth(t *testing.T) {
	out := (&checker{}).object(thing(t).Fields, values{"name": "a", "size": "7", "probe": values{}}, "")
	want := values{"name": "a", "size": 7.0, "on": true, "probe": values{"path": "/"}}
	if !reflect.DeepEqual(out, want) {
		t.Errorf("got %v", out)
	}
}

func TestDiff(t *testing.T) {
	for name, c := range map[string]struct {
		old, new values
		want     string // paths, replacing ones with "!"
	}{
		"nothing":                  {values{"name": "a"}, values{"name": "a"}, ""},
		"zero and absent":          {values{"size": 0.0, "tags": []any{}}, values{}, ""},
		"computed, not declared":   {values{"chosen": "x", "probe": values{"path": "/", "successes": 2.0}}, values{"probe": values{"path": "/"}}, ""},
		"plain, no more declared":  {values{"ownerId": "x"}, values{}, "ownerId"},
		"replacing":                {values{"kind": "a"}, values{"kind": "b"}, "kind!"},
		"unknown":                  {values{"kind": "a"}, values{"kind": unknown{}}, "kind!"},
		"order of a list":          {values{"tags": []any{"a", "b"}}, values{"tags": []any{"b", "a"}}, "tags[0] tags[1]"},
		"order of a set":           {values{"members": []any{"a", "b"}}, values{"members": []any{"b", "a"}}, ""},
		"one more in a set":        {values{"members": []any{"a", "b"}}, values{"members": []any{"c", "b", "a"}}, "members[0]"},
		"one less in a set":        {values{"members": []any{"a", "b"}}, values{"members": []any{"b"}}, "members[1]"},
		"key with an empty value":  {values{"labels": values{}}, values{"labels": values{"a": ""}}, `labels["a"]`},
		"key removed":              {values{"labels": values{"a": "", "b": ""}}, values{"labels": values{"b": ""}}, `labels["a"]`},
		"same duration":            {values{"every": "1m0s"}, values{"every": "60s"}, ""},
		"same JSON":                {values{"config": `{"a":1,"b":[2]}`}, values{"config": `{ "b": [2], "a": 1.0 }`}, ""},
		"other JSON":               {values{"config": `{"a":1}`}, values{"config": `{"a":2}`}, "config"},
		"nested":                   {values{"probe": values{"path": "/"}}, values{"probe": values{"path": "/x"}}, "probe.path"},
		"the provider's own keys":  {values{"id": "1", "__meta": "x"}, values{}, ""},
		"false where true is said": {values{"on": false}, values{"on": true}, "on"},
	} {
		diff := &differ{}
		diff.row(thing(t), c.old, c.new)
		got := []string{}
		for _, change := range diff.changes {
			mark := map[bool]string{true: "!"}[change.replace]
			got = append(got, change.path+mark)
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestAReplacementThatWouldCollideDeletesFirst(t *testing.T) {
	row := thing(t)
	for name, first := range map[string]bool{"a": true, "b": false} {
		old, new := values{"name": "a", "kind": "x"}, values{"name": name, "kind": "y"}
		diff := &differ{}
		diff.row(row, old, new)
		if got := row.response(diff.changes, old, new); got.DeleteBeforeReplace != first {
			t.Errorf("name %s: %v", name, got)
		}
	}
}

func TestEncodeAndDecodeAreEachOthersInverse(t *testing.T) {
	row := thing(t)
	in := values{"name": "a", "ownerId": "o", "config": `{"x":1}`, "labels": values{"k": "v"}, "probe": values{"path": "/"}}
	body := values{}
	encode(row.Fields, in, body)
	want := values{
		"name": "a", "owner": values{"id": "o"}, "config": values{"x": 1.0}, "labels": values{"k": "v"}, "probe": values{"path": "/"},
	}
	if !reflect.DeepEqual(body, want) {
		t.Errorf("encoded %v", body)
	}
	if back := decode(row.Fields, body, in); !reflect.DeepEqual(back, in) {
		t.Errorf("decoded %v", back)
	}
}

func TestNullRemovesTheWholeReference(t *testing.T) {
	body := values{}
	setPath(body, "owner.id", nil)
	if value, there := body["owner"]; !there || value != nil {
		t.Errorf("got %v", body)
	}
}

func TestJSONIsComparedByItsDeclaredKeys(t *testing.T) {
	declared := values{"a": 1.0, "list": []any{"x", "y"}}
	there := values{"a": 1.0, "list": []any{"y", "x"}, "filled": "in"}
	if got := project(declared, there); !reflect.DeepEqual(got, declared) {
		t.Errorf("got %v", got)
	}
	there["a"] = 2.0
	if got := project(declared, there); reflect.DeepEqual(got, declared) {
		t.Error("a changed value is not seen")
	}
}

func TestTemplates(t *testing.T) {
	in := scope{
		inputs: values{"name": "a b", "mount": "x/y"}, id: "u/t", split: "/", config: values{"dc": "one"},
	}
	for template, want := range map[string]string{
		"GET /v1/{name}":              "/v1/a%20b",
		"GET /{mount}/d":              "/x/y/d",
		"GET /{id.0}/t/{id.1}":        "/u/t/t",
		"GET /k?dc={none}&x={name}":   "/k?x=a+b",
		"GET /k?dc={none|config.dc}":  "/k?dc=one",
		"GET /k?recurse=true&dc={no}": "/k?recurse=true",
	} {
		if _, got := in.request(template); got != want {
			t.Errorf("%s: got %s, want %s", template, got, want)
		}
	}
}

func TestAnImportIdIsMatched(t *testing.T) {
	found, ok := match("{node}/{name}", "n/web/1")
	if !ok || found["node"] != "n" || found["name"] != "web/1" {
		t.Errorf("got %v", found)
	}
	if _, ok := match("{node}/{name}", "n"); ok {
		t.Error("an id without a name fits")
	}
}
