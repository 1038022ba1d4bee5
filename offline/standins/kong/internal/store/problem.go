package store

import (
	"fmt"

	"nexus/standins/kong/internal/schema"
)

// Problem is an error a client can do something about, with its HTTP status.
type Problem struct {
	Status  int            `json:"-"`
	Code    int            `json:"code"`
	Name    string         `json:"name"`
	Message string         `json:"message"`
	Fields  map[string]any `json:"fields,omitempty"`
	Options map[string]any `json:"options,omitempty"`
}

func (p *Problem) Error() string { return p.Message }

// Violation reports invalid fields.
func Violation(errs schema.Errors) *Problem {
	return &Problem{Status: 400, Code: 2, Name: "schema violation", Message: errs.Message(), Fields: errs.Map()}
}

// FieldViolation reports one invalid field.
func FieldViolation(field, message string) *Problem {
	errs := schema.Errors{}
	errs.Set(field, message)
	return Violation(errs)
}

func duplicate(values map[string]any) *Problem {
	return &Problem{
		Status: 409, Code: 5, Name: "unique constraint violation",
		Message: "UNIQUE violation detected on '" + schema.Pretty(values) + "'", Fields: values,
	}
}

func samePrimaryKey(id string) *Problem {
	key := map[string]any{"id": id}
	return &Problem{
		Status: 400, Code: 3, Name: "primary key violation",
		Message: "primary key violation on key '" + schema.Pretty(key) + "'", Fields: key,
	}
}

func noReference(field, target string, key map[string]any) *Problem {
	return &Problem{
		Status: 400, Code: 4, Name: "foreign key violation",
		Message: fmt.Sprintf("the foreign key '%s' does not reference an existing '%s' entity.", schema.Pretty(key), target),
		Fields:  map[string]any{field: key},
	}
}

func stillReferenced(parent, child string) *Problem {
	return &Problem{
		Status: 400, Code: 4, Name: "foreign key violation",
		Message: fmt.Sprintf("an existing '%s' entity references this '%s' entity", child, parent),
		Fields:  map[string]any{"@referenced_by": child},
	}
}

func unresolved(field, target string, key map[string]any) *Problem {
	text := fmt.Sprintf("the foreign key cannot be resolved with '%s' for an existing '%s' entity", schema.Pretty(key), target)
	nested := map[string]any{}
	for name := range key {
		nested[name] = text
		text = field + "." + name + ": " + text
	}
	return &Problem{
		Status: 400, Code: 13, Name: "foreign keys unresolved",
		Message: "foreign key unresolved (" + text + ")", Fields: map[string]any{field: nested},
	}
}

// Immutable reports an attempt to change an id.
func Immutable(field string) *Problem {
	return FieldViolation(field, "immutable field cannot be updated")
}
