package engine

import (
	"context"
	"errors"
	"slices"
)

// errGone says that the object is not there (any more).
var errGone = errors.New("not found")

// style is how a row's requests are made.
type style interface {
	create(ctx context.Context, in scope) (id string, state values, err error)
	read(ctx context.Context, in scope) (values, error)
	update(ctx context.Context, in scope, state values) (values, error)
	delete(ctx context.Context, in scope) error
}

// rest is one object behind a path.
type rest struct {
	*client
	row    *Row
	server Server
}

// call fills a request template and sends it.
func (r *rest) call(ctx context.Context, in scope, template string, body any) (*answer, error) {
	method, path := in.request(template)
	headers := map[string]string{}
	for name, value := range r.row.Headers {
		if value = in.text(value, nil); value != "" {
			headers[name] = value
		}
	}
	return r.send(ctx, method, path, body, headers)
}

// prepare makes the lookups and gives the fields that were not declared their value from them.
func (r *rest) prepare(ctx context.Context, in *scope) error {
	if err := r.known(ctx, in); err != nil {
		return err
	}
	for name, lookup := range r.row.Lookups {
		found, err := r.call(ctx, *in, lookup.Read, nil)
		if err != nil {
			return err
		}
		if !found.ok() && found.status != 404 {
			return found.failed()
		}
		if found.body == nil || !found.ok() {
			return errors.New(in.text(lookup.Missing, nil))
		}
		in.lookups[name] = found.body
	}
	inputs := values{}
	for name, field := range r.row.Fields {
		value := in.inputs[name]
		if zero(value) && field.From != "" {
			value = in.fill(field.From)
		}
		if value != nil && value != "" { // an empty text means an absent one to every server here
			inputs[name] = value
		}
	}
	in.inputs = inputs
	return nil
}

// known copies what the provider's own lookups found, which are made once.
func (r *rest) known(ctx context.Context, in *scope) error {
	r.once.Lock()
	defer r.once.Unlock()
	in.lookups = values{}
	for name, template := range r.server.Lookups {
		if r.found[name] == nil {
			method, path := in.request(template)
			answer, err := r.send(ctx, method, path, nil, nil)
			if err != nil {
				return err
			}
			if answer.ok() {
				r.found[name] = answer.body
			}
		}
		in.lookups[name] = r.found[name]
	}
	return nil
}

func (r *rest) create(ctx context.Context, in scope) (string, values, error) {
	if err := r.prepare(ctx, &in); err != nil {
		return "", nil, err
	}
	made, err := r.call(ctx, in, r.row.Create, r.body(in, nil))
	if err != nil {
		return "", nil, err
	}
	fresh := made.ok()
	if !fresh {
		if made, err = r.adopt(ctx, in, made); err != nil {
			return "", nil, err
		}
	}
	in.response = made.body
	in.id = in.text(r.row.ID, nil)
	if err := r.also(ctx, in); err != nil {
		if fresh { // half an object would be in the way of the next attempt
			err = errors.Join(err, r.delete(ctx, in))
		}
		return "", nil, err
	}
	state, err := r.settle(ctx, in, made.body)
	if err == nil {
		r.made(state, in.inputs, made.body)
	}
	return in.id, state, err
}

// settle gives the state after a write: from the answer when it is the object, otherwise by reading it.
func (r *rest) settle(ctx context.Context, in scope, body any) (values, error) {
	if _, object := body.(values); object && r.row.Unwrap == "" {
		return r.state(in, body), nil
	}
	state, err := r.read(ctx, in)
	if errors.Is(err, errGone) {
		return nil, errors.New("the server accepted the object but does not list it")
	}
	return state, err
}

func (r *rest) state(in scope, response any) values {
	around := values{} // a row's strict comparison may be asked for by the resource or by the provider
	for name, value := range in.config {
		around["config."+name] = value
	}
	for name, value := range in.inputs {
		around[name] = value
	}
	out := decode(r.row.Fields, response, around)
	for name, field := range r.row.Fields {
		if out[name] == nil && field.From != "" {
			if value := in.fill(field.From); value != nil {
				out[name] = value
			}
		}
	}
	return out
}

func (r *rest) read(ctx context.Context, in scope) (values, error) {
	if in.lookups == nil {
		if err := r.known(ctx, &in); err != nil {
			return nil, err
		}
	}
	if r.row.Read == "" {
		return r.state(in, nil), nil
	}
	if r.row.ReadUnless != "" && in.text(r.row.ReadUnless, nil) != "" {
		return r.declared(in), nil
	}
	found, err := r.call(ctx, in, r.row.Read, in.filled(r.row.ReadBody))
	if err != nil {
		return nil, err
	}
	if !found.ok() {
		if r.absent(found) {
			return nil, errGone
		}
		return nil, found.failed()
	}
	object := found.body
	if r.row.Unwrap != "" {
		object = getPath(object, in.text(r.row.Unwrap, nil))
	}
	if list, ok := object.([]any); ok {
		object = nil
		for _, item := range filter(in, list, r.row.Where) {
			object = item
		}
	}
	whole, ok := object.(values)
	if !ok {
		return nil, errGone
	}
	return r.joined(ctx, in, whole)
}

// declared is the state of an object that nobody reads.
func (r *rest) declared(in scope) values {
	out := values{}
	for name, field := range r.row.Fields {
		if value, ok := in.inputs[name]; ok {
			out[name] = value
		} else if field.From != "" {
			out[name] = in.fill(field.From)
		}
	}
	return out
}

func (r *rest) joined(ctx context.Context, in scope, object values) (values, error) {
	for name, join := range r.row.Joins {
		found, err := r.call(ctx, in, join.Read, nil)
		if err != nil {
			return nil, err
		}
		if !found.ok() && !r.absent(found) {
			return nil, found.failed()
		}
		if join.Unwrap != "" {
			object[name] = getPath(found.body, join.Unwrap)
			continue
		}
		list, _ := found.body.([]any)
		object[name] = filter(in, list, join.Where)
	}
	return r.state(in, object), nil
}

// filter keeps the elements whose named members have the templates' values.
func filter(in scope, list []any, where map[string]string) []any {
	out := []any{}
	for _, item := range list {
		fits := true
		for member, template := range where {
			fits = fits && show(getPath(item, member)) == in.text(template, nil)
		}
		if fits {
			out = append(out, item)
		}
	}
	return out
}

func (r *rest) absent(found *answer) bool {
	return slices.Contains(r.row.NotFound, found.status) || found.says(r.row.NotFoundText)
}
