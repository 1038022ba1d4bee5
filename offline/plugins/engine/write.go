package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

func (r *rest) body(in scope, removed values) values {
	body := values{}
	if filled, ok := in.fill(values(r.row.Body)).(values); ok {
		body = filled
	}
	encode(r.row.Fields, removed, body)
	encode(r.row.Fields, in.inputs, body)
	for _, field := range r.row.Fields {
		list, _ := getPath(body, field.API).([]any)
		for _, item := range list {
			for member, template := range field.Each {
				setPath(item.(values), member, in.fill(template))
			}
		}
	}
	return body
}

// carry copies into the declared elements of keyed sets what the server has decided about them meanwhile.
func (r *rest) carry(inputs, now values) {
	for name, field := range r.row.Fields {
		declared, _ := inputs[name].([]any)
		if field.Key == "" {
			continue
		}
		there := map[any]values{}
		list, _ := now[name].([]any)
		for _, item := range list {
			there[getPath(item, field.Key)] = item.(values)
		}
		for i, item := range declared {
			merged := values{}
			for member, value := range item.(values) {
				merged[member] = value
			}
			for member, inner := range field.Fields {
				if found := there[merged[field.Key]]; found != nil && inner.Initial {
					merged[member] = found[member]
				}
			}
			declared[i] = merged
		}
	}
}

func (r *rest) update(ctx context.Context, in scope, state values) (values, error) {
	if err := r.prepare(ctx, &in); err != nil {
		return nil, err
	}
	before := state
	if r.row.Prune != nil {
		now, err := r.read(ctx, in)
		if err != nil && !errors.Is(err, errGone) {
			return nil, err
		}
		r.carry(in.inputs, now)
		state = now
	}
	removed := r.removed(r.row.Fields, in.inputs, state)
	sent := in
	sent.inputs = unchanged(r.row.Fields, in.inputs, state)
	body := r.body(sent, removed)
	for name, template := range r.row.UpdateBody {
		if value := in.fill(template); value != nil {
			body[name] = value
		}
	}
	done, err := r.write(ctx, in, body)
	if err != nil {
		return nil, err
	}
	if err = r.refused(done); err == nil {
		err = r.prune(ctx, in, state)
	}
	if err == nil {
		err = r.also(ctx, in)
	}
	if errors.Is(err, errGone) {
		return nil, fmt.Errorf("the object with id %q is not on the server any more: run a refresh, then update again", in.id)
	}
	if err != nil {
		return nil, err
	}
	updated, err := r.settle(ctx, in, done.body)
	for name, field := range r.row.Fields {
		if err == nil && field.Made != "" && before[name] != nil {
			updated[name] = before[name]
		}
	}
	return updated, err
}

// removed is what an update has to say about fields that are no longer declared.
func (r *rest) removed(fields map[string]*Field, inputs, state values) values {
	out := values{}
	for name, field := range fields {
		inner, declared := inputs[name].(values)
		if was, _ := state[name].(values); declared && field.API == "." && r.server.Partial {
			out[name] = r.removed(field.Fields, inner, was)
		}
		if inputs[name] != nil || zero(state[name]) || field.Computed || field.Output {
			continue
		}
		switch {
		case strings.HasPrefix(r.row.Update, "PATCH "):
			out[name] = nil
		case r.server.Partial:
			out[name] = field.empty()
		}
	}
	return out
}

// write makes the update's own request, if it has one.
func (r *rest) write(ctx context.Context, in scope, body any) (*answer, error) {
	if r.row.Update == "" {
		return &answer{status: 204}, nil
	}
	return r.call(ctx, in, r.row.Update, body)
}

func (r *rest) prune(ctx context.Context, in scope, state values) error {
	prune := r.row.Prune
	if prune == nil {
		return nil
	}
	stays := map[any]bool{}
	declared, _ := in.inputs[prune.Field].([]any)
	for _, item := range declared {
		stays[getPath(item, prune.Key)] = true
	}
	there, _ := state[prune.Field].([]any)
	for _, item := range there {
		key := getPath(item, prune.Key)
		if stays[key] {
			continue
		}
		in.lookups["key"] = key
		done, err := r.call(ctx, in, prune.Call, in.fill(values(prune.Body)))
		if err != nil {
			return err
		}
		if !done.ok() {
			return done.failed()
		}
	}
	return nil
}

func (r *rest) delete(ctx context.Context, in scope) error {
	if in.lookups == nil {
		in.lookups = values{}
	}
	if r.row.Delete == "" || r.row.DeleteWhen != "" && in.text(r.row.DeleteWhen, nil) == "" {
		return nil
	}
	done, err := r.call(ctx, in, r.row.Delete, in.filled(r.row.DeleteBody))
	if err != nil {
		return err
	}
	if !done.ok() && !r.absent(done) {
		return done.failed()
	}
	return nil
}
