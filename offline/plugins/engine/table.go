// Package engine serves the Pulumi resource provider protocol from a table: one row per resource type.
package engine

import (
	"bytes"
	"fmt"
	"strings"

	"gopkg.in/yaml.v3"
)

// Table is one provider package: how to reach its server, and the resource types it has.
type Table struct {
	Name      string
	Version   string
	Provider  Server
	Resources map[string]*Row
	Functions map[string]*Function
}

// Server tells how provider configuration becomes HTTP requests. Templates name configuration keys in braces.
type Server struct {
	Address string            // base address; a missing scheme is taken from Scheme
	Scheme  string            // template of the scheme when Address has none
	Path    string            // prefix of every path, left out when its template is empty
	Headers map[string]string // left out when their template is empty
	Basic   string            // template of "user:password"
	TLS     TLS
	Retry   []string          // texts in a 500 answer that mean "not ready yet"
	Partial bool              // an update keeps what it is not sent: a field no longer declared is sent empty
	Hints   map[string]string // texts in an error answer, to what may be done about it; "unreachable" when there is none
	Lookups map[string]string // names that any template may use, to the request that answers them
	Config  map[string]*Field
}

// TLS names the configuration keys that hold the parts of a TLS client configuration.
type TLS struct {
	SkipVerify string `yaml:"skipVerify"`
	CAFile     string `yaml:"caFile"`
	CAPem      string `yaml:"caPem"`
	CertFile   string `yaml:"certFile"`
	CertPem    string `yaml:"certPem"`
	KeyFile    string `yaml:"keyFile"`
	KeyPem     string `yaml:"keyPem"`
	ServerName string `yaml:"serverName"`
}

// Row is one resource type. Requests are "METHOD /path/{property}?key={property}"; README.md has the language of templates.
type Row struct {
	Style                        string // "" is plain REST; "kv-tree" is a prefix of key/value pairs
	Create, Read, Update, Delete string
	Also                         []Call            // further requests of a create and of an update, in this order
	Exists                       *Exists           // when creating may find that it is there already
	Once                         bool              // the state is what was declared and answered at creation: a read only looks whether it exists
	ReadBody                     map[string]any    `yaml:"readBody"`
	DeleteWhen                   string            `yaml:"deleteWhen"` // a template; while it is empty, deleting leaves the object there
	ReadUnless                   string            `yaml:"readUnless"` // a template; unless it is empty, the state is what was declared, and nothing is read
	Body                         map[string]any    // constants and templates sent besides the fields
	UpdateBody                   map[string]any    `yaml:"updateBody"`
	DeleteBody                   map[string]any    `yaml:"deleteBody"`
	Headers                      map[string]string // per-resource headers, left out when empty
	ID                           string            // template of the id; "{.path}" reads the create response
	Split                        string            // separator of a composite id; its parts are {id.0}, {id.1} ...
	Import                       string            // template an import id is matched against to find properties
	Unwrap                       string            // path of the object within a read response; may have placeholders
	Where                        map[string]string // picks one element of a list response
	Joins                        map[string]Join   // further reads, placed into the response under their name
	Lookups                      map[string]Lookup
	NotFound                     []int    `yaml:"notFound"`     // default 404
	NotFoundText                 []string `yaml:"notFoundText"` // texts in an error answer that mean "no such object"
	Unique                       []string // a replacement that keeps all of these must delete first
	Prune                        *Prune
	Renew                        *Renew // what ends by itself, and is replaced in time
	Fields                       map[string]*Field
}

// Call is a request besides the row's own. It is not made while the template When is empty.
type Call struct {
	Call string
	When string
	Body map[string]any
}

// Exists is what a create answers when the object is there already, and how to find it then (as Read does by default).
// It is taken over when it is just what is declared: a run that was killed made it.
type Exists struct {
	Text []string
	Find string
	Body map[string]any
}

// Join is another read: a list, filtered, or an object, at the path Unwrap of the answer.
type Join struct {
	Read   string
	Where  map[string]string
	Unwrap string
}

// Function is a read that a program asks for.
type Function struct {
	Read   string
	Unwrap string
	Fields map[string]*Field
}

// Renew names properties: Pending becomes true when no more than Before seconds are left until Ends, in seconds since 1970.
// A create and a read find that out; if When is true, the next difference then is a replacement.
type Renew struct{ Pending, When, Ends, Before string }

// Lookup is a read made before a create or update; Missing is the error when it finds nothing.
type Lookup struct{ Read, Missing string }

// Prune removes the elements of a list field that an update no longer declares and the server would keep.
type Prune struct {
	Field, Key, Call string
	Body             map[string]any
}

// Field is one property. Paths are dotted; API is where it goes in a request and Get where it is in a response.
type Field struct {
	Kind       string `yaml:"type"` // "string", "integer", "boolean", "json", "duration", "seconds", "object", "list string", "set object", "map string" ...
	API        string // default: the name in snake case; "-" is never sent; "." puts the members of an object or a map among the others
	Get        string // default: API; "-" is never read back
	Made       string // where it is in the answer to create, which alone has it; of several paths the texts are joined by line ends
	Required   bool
	Computed   bool   // the server fills it in when it is not declared
	Output     bool   // never an input
	Secret     bool   // always secret in the state
	SecretWith string `yaml:"secretWith"` // secret when the named property is
	Replace    bool   // a change replaces the resource
	Autoname   bool   // the resource's name and a random suffix when not declared
	Default    any
	From       string            // template of the value sent when the field is not declared
	Absent     any               // what the state has when the server has no value, where the official plugin does not leave it out
	Implicit   any               // what the server reports for a value nobody declared; not kept in the state
	Key        string            // of a set of objects: the member that tells its elements apart
	Each       values            // templates sent with every element of a list
	Initial    bool              // only the value at creation counts: the server changes it from then on
	Changed    bool              // an update sends it only when it changes: the server may know a newer one
	Only       []any             // the values that can be handled here
	Codec      string            // how the server spells a list, see codecs.go
	Strict     []string          // json: with one of these true the whole text is compared, otherwise the declared keys alone
	Hide       []string          // keys of a map that belong to the provider, unless they are declared
	Alias      map[string]string // declared values that the server calls otherwise
	Env        []string          // environment variables a configuration key falls back to
	Fields     map[string]*Field

	elem *Field // element of a list, set or map
	kind string // the collection or scalar kind alone
}

// Parse reads a table and refuses what it does not know.
func Parse(text []byte) (*Table, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	table := &Table{}
	if err := decoder.Decode(table); err != nil {
		return nil, err
	}
	if err := prepare(table.Provider.Config, "provider"); err != nil {
		return nil, err
	}
	for token, row := range table.Resources {
		if len(row.NotFound) == 0 {
			row.NotFound = []int{404}
		}
		if err := prepare(row.Fields, token); err != nil {
			return nil, err
		}
		for _, field := range row.Fields {
			if row.Once || field.Made != "" {
				field.Get = "-"
			}
		}
	}
	for token, function := range table.Functions {
		if err := prepare(function.Fields, token); err != nil {
			return nil, err
		}
	}
	return table, nil
}

var kinds = map[string]bool{
	"string": true, "integer": true, "number": true, "boolean": true, "json": true, "duration": true, "object": true,
	"seconds": true, // a length of time that the server tells in seconds, whatever it was declared as
}

func prepare(fields map[string]*Field, where string) error {
	for name, field := range fields {
		if err := field.prepare(name); err != nil {
			return fmt.Errorf("%s: field %s: %w", where, name, err)
		}
	}
	return nil
}

func (f *Field) prepare(name string) error {
	if f.API == "" {
		f.API = snake(name)
	}
	if f.Get == "" {
		f.Get = f.API
	}
	kind, elem, nested := strings.Cut(f.Kind, " ")
	f.kind = kind
	switch kind {
	case "list", "set", "map":
		f.elem = &Field{Kind: elem, kind: elem, Fields: f.Fields}
		if elem == "map" {
			f.elem.elem = &Field{Kind: "string", kind: "string"}
		} else if !nested || !kinds[elem] {
			return fmt.Errorf("type %q needs an element type", f.Kind)
		}
	default:
		if !kinds[f.Kind] {
			return fmt.Errorf("unknown type %q", f.Kind)
		}
	}
	return prepare(f.Fields, name)
}

func snake(name string) string {
	var out strings.Builder
	for _, r := range name {
		if r >= 'A' && r <= 'Z' {
			out.WriteByte('_')
			r += 'a' - 'A'
		}
		out.WriteRune(r)
	}
	return out.String()
}
