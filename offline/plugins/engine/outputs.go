package engine

import "time"

// foreseen gives the outputs as far as a preview can know them. On an update, what the server chose before stays.
func (r *Row) foreseen(inputs, state values) values {
	out := values{}
	for name, field := range r.Fields {
		switch value := inputs[name]; {
		case value != nil:
			out[name] = foreseenValue(field, value)
		case field.Made != "" && state != nil:
			out[name] = state[name]
		case field.Output && state == nil, field.Computed && state == nil:
			out[name] = unknown{}
		case field.Computed && !field.Output:
			out[name] = state[name]
		case field.Output:
			out[name] = unknown{}
		case field.Absent != nil:
			out[name] = field.Absent
		}
	}
	return out
}

// foreseenValue spells a value as the server will give it back.
func foreseenValue(field *Field, value any) any {
	switch v := value.(type) {
	case string:
		if field.kind == "json" {
			return canonical(v)
		}
		if length, err := time.ParseDuration(v); field.kind == "duration" && err == nil {
			return length.String()
		}
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = foreseenValue(field.elem, item)
		}
		return out
	case values:
		if field.kind == "object" {
			return (&Row{Fields: field.Fields}).foreseen(v, nil)
		}
	}
	return value
}

// refreshed are the inputs that would give the state: the declared ones where they still hold, the server's elsewhere.
func refreshed(fields map[string]*Field, declared, state values) values {
	out := values{}
	for name, field := range fields {
		was, is := declared[name], state[name]
		switch {
		case field.Output:
		case was != nil && equal(field, is, was):
			out[name] = was
		case was == nil && (field.assumed(is) || field.Computed && len(declared) > 0):
		case is != nil && field.kind == "object":
			inner, _ := was.(values)
			now, _ := is.(values)
			out[name] = refreshed(field.Fields, inner, now)
		case is != nil:
			out[name] = is
		}
	}
	return out
}

// assumed tells whether a value is what leaving the property out would give.
func (f *Field) assumed(is any) bool {
	if f.Default == nil {
		return zero(is)
	}
	return is == nil || equal(f, is, number(f.Default))
}
