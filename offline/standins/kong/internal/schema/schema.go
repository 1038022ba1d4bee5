// Package schema describes entities as tables of fields and validates them.
//
// An entity is a map[string]any as decoded from JSON: numbers are float64,
// lists []any, records map[string]any, absent values nil. The validator's
// messages carry the same meaning as those of the original gateway.
package schema

// Type names the kind of value a field holds.
type Type string

// The types a field can have.
const (
	String  Type = "string"
	Integer Type = "integer"
	Number  Type = "number"
	Boolean Type = "boolean"
	Array   Type = "array"
	Set     Type = "set"
	Map     Type = "map"
	Record  Type = "record"
	Foreign Type = "foreign"
)

// Range is an inclusive numeric interval.
type Range struct{ Min, Max float64 }

// Between makes a Range.
func Between(lo, hi float64) *Range { return &Range{lo, hi} }

// Check validates one value and returns a message, or "" when it is fine.
type Check func(value any) string

// Field is one column of an entity, a record, or the shape of a list element.
type Field struct {
	Name     string
	Type     Type
	Required bool
	Default  any
	OneOf    []any
	Between  *Range
	Positive bool // greater than zero
	LenMin   int
	Check    Check

	Auto      bool   // filled in by the server when absent
	UUID      bool   // must look like a UUID
	Timestamp string // "s" or "ms": set on creation, "updated_at" also on change
	Unique    bool   // no two entities share the value
	Transient bool   // accepted, not stored with the entity
	NullError string // the value must be null; this is the message otherwise

	Elements     *Field // of an array or set
	Keys, Values *Field // of a map
	Fields       []Field
	Checks       []EntityCheck // of a record
	Exclusive    [][]string    // groups whose members may not mix in one set

	Reference string // entity a foreign key points to
	Cascade   bool   // deleted together with what it points to
}

// EntityCheck looks at several fields of one record. It reports through errs.
type EntityCheck struct {
	// Label is what /schemas shows for the check.
	Label string
	// Run may add entries to errs.Fields and errs.Entity.
	Run func(record map[string]any, errs *Errors)
}

// Schema is one entity type.
type Schema struct {
	Name       string   // collection name, e.g. "services"
	Path       string   // path of the collection in the Admin API
	Nested     string   // path below a parent, when it differs from Path
	Key        string   // field that may stand for the id in a path
	Composite  []string // fields that are unique together
	Fields     []Field
	Checks     []EntityCheck
	Shorthands []Shorthand
	// Specialize returns the field list for one entity (plugins by name).
	Specialize func(record map[string]any) ([]Field, Errors)
	// SpecialChecks are the checks of one entity beyond Checks.
	SpecialChecks func(record map[string]any) []EntityCheck
	// Prepare adjusts a complete, valid entity before it is stored; given is
	// what the client sent.
	Prepare func(record, given map[string]any)
}

// Shorthand expands an input-only key to real fields.
type Shorthand struct {
	Name   string
	Expand func(value any) (map[string]any, string)
	// Keep says that Name is also a real field; it is then rewritten, not removed.
	Keep bool
}

// Field finds a field by name.
func (s *Schema) Field(name string) *Field { return find(s.Fields, name) }

// NestedPath is the collection's name below a parent.
func (s *Schema) NestedPath() string {
	if s.Nested != "" {
		return s.Nested
	}
	return s.Path
}

func find(fields []Field, name string) *Field {
	for i := range fields {
		if fields[i].Name == name {
			return &fields[i]
		}
	}
	return nil
}

// FieldsOf is the field list that applies to record.
func (s *Schema) FieldsOf(record map[string]any) ([]Field, Errors) {
	if s.Specialize == nil {
		return s.Fields, Errors{}
	}
	return s.Specialize(record)
}
