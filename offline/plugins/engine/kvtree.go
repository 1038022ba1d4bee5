package engine

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
)

// kvTree is a prefix of key/value pairs that one resource owns as a whole. Its row's Read lists the pairs under the
// prefix, Create writes and Delete removes the pair {key}; the prefix itself is removed with recurse=true.
type kvTree struct{ *rest }

// pair is one key below the prefix.
type pair struct {
	value string
	flags float64
}

// declared collects both spellings: the map of subkeys, and the list of pairs with flags.
func (t *kvTree) declared(in values) map[string]pair {
	out := map[string]pair{}
	plain, _ := in["subkeys"].(values)
	for key, value := range plain {
		out[key] = pair{value: show(value)}
	}
	flagged, _ := in["subkeyCollection"].([]any)
	for _, item := range flagged {
		flags, _ := getPath(item, "flags").(float64)
		out[show(getPath(item, "path"))] = pair{show(getPath(item, "value")), flags}
	}
	return out
}

func (t *kvTree) there(ctx context.Context, in scope) (map[string]pair, error) {
	found, err := t.call(ctx, in, t.row.Read, nil)
	if err != nil {
		return nil, err
	}
	if !found.ok() && !t.absent(found) {
		return nil, found.failed()
	}
	out := map[string]pair{}
	list, _ := found.body.([]any)
	for _, item := range list {
		key := show(getPath(item, "Key"))
		value, err := base64.StdEncoding.DecodeString(show(getPath(item, "Value")))
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", key, err)
		}
		flags, _ := getPath(item, "Flags").(float64)
		out[key[len(show(in.inputs["pathPrefix"])):]] = pair{string(value), flags}
	}
	return out, nil
}

func (t *kvTree) create(ctx context.Context, in scope) (string, values, error) {
	if err := t.prepare(ctx, &in); err != nil {
		return "", nil, err
	}
	there, err := t.there(ctx, in)
	if err != nil {
		return "", nil, err
	}
	declared := t.declared(in.inputs)
	for key, found := range there {
		// An equal pair is what a creation that was cut short leaves behind; anything else belongs to somebody.
		if wanted, ours := declared[key]; !ours || wanted != found {
			return "", nil, fmt.Errorf("%d keys exist under %q already, which this resource would own as a whole: "+
				"delete or import them first", len(there), in.inputs["pathPrefix"])
		}
	}
	in.id = in.text(t.row.ID, nil)
	if in.id == "" {
		in.id = "/" // the whole store
	}
	state, err := t.write(ctx, in, there)
	return in.id, state, err
}

// write makes the pairs under the prefix what is declared: new and changed ones first, then those that must go.
func (t *kvTree) write(ctx context.Context, in scope, there map[string]pair) (values, error) {
	declared := t.declared(in.inputs)
	for _, key := range sorted(declared) {
		if found, same := there[key]; same && found == declared[key] {
			continue
		}
		in.lookups["key"] = key
		in.lookups["flags"] = strconv.FormatFloat(declared[key].flags, 'f', -1, 64)
		if err := t.done(t.call(ctx, in, t.row.Create, declared[key].value)); err != nil {
			return nil, err
		}
	}
	for _, key := range sorted(there) {
		if _, stays := declared[key]; stays {
			continue
		}
		in.lookups["key"] = key
		if err := t.done(t.call(ctx, in, t.row.Delete, nil)); err != nil {
			return nil, err
		}
	}
	return t.read(ctx, in)
}

func (t *kvTree) done(answer *answer, err error) error {
	if err == nil && !answer.ok() {
		err = answer.failed()
	}
	return err
}

// read never finds the object missing: an empty prefix is a state of it, and the difference shows as missing keys.
func (t *kvTree) read(ctx context.Context, in scope) (values, error) {
	if in.lookups == nil {
		if err := t.prepare(ctx, &in); err != nil {
			return nil, err
		}
	}
	there, err := t.there(ctx, in)
	if err != nil {
		return nil, err
	}
	subkeys, flagged := values{}, []any{}
	listed := map[string]bool{}
	list, _ := in.inputs["subkeyCollection"].([]any)
	for _, item := range list {
		listed[show(getPath(item, "path"))] = true
	}
	for _, key := range sorted(there) {
		if listed[key] {
			flagged = append(flagged, values{"path": key, "value": there[key].value, "flags": there[key].flags})
		} else {
			subkeys[key] = there[key].value
		}
	}
	out := values{}
	for name, value := range in.inputs {
		out[name] = value
	}
	out["subkeys"], out["subkeyCollection"] = subkeys, flagged
	return out, nil
}

func (t *kvTree) update(ctx context.Context, in scope, _ values) (values, error) {
	if err := t.prepare(ctx, &in); err != nil {
		return nil, err
	}
	there, err := t.there(ctx, in)
	if err != nil {
		return nil, err
	}
	return t.write(ctx, in, there)
}

func (t *kvTree) delete(ctx context.Context, in scope) error {
	in.lookups = values{"key": "", "recurse": "true"}
	return t.done(t.call(ctx, in, t.row.Delete, nil))
}
