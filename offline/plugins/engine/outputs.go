package engine

// foreseen gives the outputs as far as a preview can know them. On an update, what the server chose before stays.
func (r *Row) foreseen(inputs, state values) values {
	out := values{}
	for name, field := range r.Fields {
		switch value := inputs[name]; {
		case value != nil:
			out[name] = foreseenValue(field, value)
		case field.Output && state == nil, field.Computed && state == nil:
			out[name] = unknown{}
		case field.Computed && !field.Output:
			out[name] = state[name]
		case field.Output:
			out[name] = unknown{}
		}
	}
	return out
}

func foreseenValue(field *Field, value any) any {
	object, ok := value.(values)
	if text, is := value.(string); is && field.kind == "json" {
		return canonical(text)
	}
	if !ok || field.kind != "object" {
		return value
	}
	return (&Row{Fields: field.Fields}).foreseen(object, nil)
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
		case was == nil && (zero(is) || equal(field, is, number(field.Default)) || field.Computed && len(declared) > 0):
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
