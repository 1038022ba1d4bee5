package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
)

// also makes the further requests of a create or an update.
func (r *rest) also(ctx context.Context, in scope) error {
	for _, further := range r.row.Also {
		if further.When != "" && in.text(further.When, nil) == "" {
			continue
		}
		done, err := r.call(ctx, in, further.Call, in.filled(further.Body))
		if err != nil {
			return err
		}
		if err := r.refused(done); err != nil {
			return err
		}
	}
	return nil
}

// refused is the error of an answer that is one; errGone when the object is not there.
func (r *rest) refused(done *answer) error {
	switch {
	case done.ok():
		return nil
	case r.absent(done):
		return fmt.Errorf("%w: %w", errGone, done.failed())
	}
	return done.failed()
}

// adopt finds what was refused because it is there already. Anything but what is declared stays refused.
func (r *rest) adopt(ctx context.Context, in scope, refused *answer) (*answer, error) {
	exists := r.row.Exists
	if exists == nil || !refused.says(exists.Text) {
		return nil, refused.failed()
	}
	find := exists.Find
	if find == "" {
		find = r.row.Read
	}
	found, err := r.call(ctx, in, find, in.filled(exists.Body))
	if err != nil {
		return nil, err
	}
	if !found.ok() {
		return nil, refused.failed()
	}
	in.response = found.body
	in.id = in.text(r.row.ID, nil)
	there, err := r.read(ctx, in)
	if err != nil {
		return nil, errors.Join(refused.failed(), err)
	}
	diff := &differ{}
	diff.row(r.row, there, in.inputs)
	if len(diff.changes) > 0 {
		paths := []string{}
		for _, c := range diff.changes {
			paths = append(paths, c.path)
		}
		return nil, fmt.Errorf("%w\nthe object that is there differs in %s: remove it, or import it with the id %q",
			refused.failed(), strings.Join(paths, ", "), in.id)
	}
	return found, nil
}

// made takes the values that only the answer to a create has.
func (r *rest) made(state, inputs values, response any) {
	for name, field := range r.row.Fields {
		if field.Made == "" {
			continue
		}
		value := getPath(response, field.Made)
		if paths := strings.Fields(field.Made); len(paths) > 1 || field.kind == "string" {
			parts := make([]any, len(paths))
			for i, path := range paths {
				parts[i] = getPath(response, path)
			}
			if value = joined(parts, "\n"); value == "" {
				value = nil
			}
		}
		if value == nil {
			value = inputs[name]
		}
		if state[name] = value; value == nil {
			delete(state, name)
		}
	}
}

// unchanged leaves out what an update must not repeat.
func unchanged(fields map[string]*Field, inputs, state values) values {
	out := maps.Clone(inputs)
	for name, field := range fields {
		if field.Changed && equal(field, state[name], inputs[name]) {
			delete(out, name)
		}
		inner, ok := inputs[name].(values)
		if was, _ := state[name].(values); ok && field.kind == "object" {
			out[name] = unchanged(field.Fields, inner, was)
		}
	}
	return out
}

// empty is how a field says that it has no value, to a server that keeps what it is not sent.
func (f *Field) empty() any {
	switch f.kind {
	case "integer", "number":
		return 0
	case "boolean":
		return false
	case "list", "set":
		return []any{}
	case "map", "object":
		return values{}
	}
	return ""
}
