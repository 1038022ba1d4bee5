package engine

import (
	"fmt"
	"sort"
	"strings"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// change is one difference between what is declared and what is there.
type change struct {
	path    string
	kind    pulumirpc.PropertyDiff_Kind // ADD, UPDATE or DELETE
	replace bool
}

// differ compares declared inputs with the state.
type differ struct {
	changes []change
	replace bool // whether the field being compared replaces
}

func (d *differ) add(path string, kind pulumirpc.PropertyDiff_Kind) {
	d.changes = append(d.changes, change{path, kind, d.replace})
}

// row compares whole resources: every input field, each by its own meaning.
func (d *differ) row(row *Row, state, news values) {
	for _, name := range sorted(row.Fields) {
		field := row.Fields[name]
		if field.Output {
			continue
		}
		d.replace = field.Replace
		d.field(field, name, state[name], news[name])
	}
	d.replace = false
}

func (d *differ) field(field *Field, path string, old, new any) {
	if _, later := new.(unknown); later {
		d.add(path, pulumirpc.PropertyDiff_UPDATE)
		return
	}
	if zero(new) && zero(old) && field.kind != "map" || new == nil && field.Computed || field.Initial {
		return
	}
	switch field.kind {
	case "object":
		oldObject, _ := old.(values)
		newObject, _ := new.(values)
		if new == nil {
			d.add(path, pulumirpc.PropertyDiff_DELETE)
			return
		}
		for _, name := range sorted(field.Fields) {
			d.field(field.Fields[name], path+"."+name, oldObject[name], newObject[name])
		}
	case "map":
		d.entries(field, path, old, new)
	case "list", "set":
		d.list(field, path, old, new)
	default:
		if !sameScalar(field, old, new) {
			d.add(path, kindOf(old, new))
		}
	}
}

func (d *differ) entries(field *Field, path string, old, new any) {
	oldMap, _ := old.(values)
	newMap, _ := new.(values)
	for _, key := range sorted(newMap) {
		was, there := oldMap[key]
		switch {
		case !there:
			d.add(path+quoted(key), pulumirpc.PropertyDiff_ADD)
		case !equal(field.elem, was, newMap[key]):
			d.add(path+quoted(key), pulumirpc.PropertyDiff_UPDATE)
		}
	}
	for _, key := range sorted(oldMap) {
		if _, stays := newMap[key]; !stays {
			d.add(path+quoted(key), pulumirpc.PropertyDiff_DELETE)
		}
	}
}

func quoted(key string) string {
	return fmt.Sprintf("[%q]", key)
}

func (d *differ) list(field *Field, path string, old, new any) {
	oldList, _ := old.([]any)
	newList, _ := new.([]any)
	if new == nil {
		d.add(path, pulumirpc.PropertyDiff_DELETE)
		return
	}
	if field.kind == "set" {
		oldList = aligned(field.elem, oldList, newList)
	}
	for i, item := range newList {
		where := fmt.Sprintf("%s[%d]", path, i)
		switch {
		case i >= len(oldList) || oldList[i] == nil:
			d.add(where, pulumirpc.PropertyDiff_ADD)
		case !equal(field.elem, oldList[i], item):
			d.add(where, pulumirpc.PropertyDiff_UPDATE)
		}
	}
	for i := len(newList); i < len(oldList); i++ {
		if oldList[i] != nil {
			d.add(fmt.Sprintf("%s[%d]", path, i), pulumirpc.PropertyDiff_DELETE)
		}
	}
}

// aligned puts each old element where its equal is in new; what has no equal takes a free place.
func aligned(elem *Field, old, new []any) []any {
	out := make([]any, len(new))
	rest := []any{}
	for _, item := range old {
		placed := false
		for i, candidate := range new {
			if out[i] == nil && equal(elem, item, candidate) {
				out[i], placed = item, true
				break
			}
		}
		if !placed {
			rest = append(rest, item)
		}
	}
	for i := range out {
		if out[i] == nil && len(rest) > 0 {
			out[i], rest = rest[0], rest[1:]
		}
	}
	return append(out, rest...)
}

func kindOf(old, new any) pulumirpc.PropertyDiff_Kind {
	switch {
	case old == nil:
		return pulumirpc.PropertyDiff_ADD
	case new == nil:
		return pulumirpc.PropertyDiff_DELETE
	}
	return pulumirpc.PropertyDiff_UPDATE
}

// equal compares by meaning: what is declared (new) against what is there (old).
func equal(field *Field, old, new any) bool {
	d := &differ{}
	d.field(field, "", old, new)
	return len(d.changes) == 0
}

func sameScalar(field *Field, old, new any) bool {
	oldText, oldIs := old.(string)
	newText, newIs := new.(string)
	if oldIs && newIs {
		switch field.kind {
		case "json":
			return sameJSON(oldText, newText)
		case "duration":
			return sameDuration(oldText, newText)
		case "seconds":
			return sameSeconds(oldText, newText)
		}
	}
	return old == new
}

// response turns changes into the engine's answer.
func (row *Row) response(changes []change, state, news values) *pulumirpc.DiffResponse {
	out := &pulumirpc.DiffResponse{
		Changes:         pulumirpc.DiffResponse_DIFF_NONE,
		HasDetailedDiff: true,
		DetailedDiff:    map[string]*pulumirpc.PropertyDiff{},
	}
	replaces, diffs := map[string]bool{}, map[string]bool{}
	for _, c := range changes {
		out.Changes = pulumirpc.DiffResponse_DIFF_SOME
		top := strings.FieldsFunc(c.path, func(r rune) bool { return r == '.' || r == '[' })[0]
		diffs[top] = true
		kind := c.kind
		if c.replace {
			replaces[top] = true
			kind++ // each kind is followed by its replacing one
		}
		out.DetailedDiff[c.path] = &pulumirpc.PropertyDiff{Kind: kind}
	}
	out.Diffs, out.Replaces = keys(diffs), keys(replaces)
	out.DeleteBeforeReplace = len(replaces) > 0 && row.collides(state, news)
	return out
}

// collides tells whether a replacement would meet the old object on the server: both have the same unique fields.
func (row *Row) collides(state, news values) bool {
	for _, name := range row.Unique {
		field := row.Fields[name]
		if chosen := field.Computed && field.From == "" && news[name] == nil; chosen || !equal(field, state[name], news[name]) {
			return false
		}
	}
	return len(row.Unique) > 0
}

func keys(in map[string]bool) []string {
	out := make([]string, 0, len(in))
	for key := range in {
		out = append(out, key)
	}
	sort.Strings(out)
	return out
}
