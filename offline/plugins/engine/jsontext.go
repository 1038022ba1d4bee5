package engine

import "encoding/json"

// decodeJSON gives the server's object as text. Unless a strict comparison is asked for, the keys that nobody declared
// are left out: a server adds its defaults to what it was told.
func (f *Field) decodeJSON(in values, declared any, around values) any {
	strict := len(f.Strict) == 0
	for _, key := range f.Strict {
		strict = strict || around[key] == true
	}
	var shown any = in
	if !strict {
		text, _ := declared.(string)
		var object values
		if json.Unmarshal([]byte(text), &object) != nil {
			return nil
		}
		shown = project(object, in)
	}
	out, err := json.Marshal(shown)
	if err != nil {
		return nil
	}
	return string(out)
}

// project keeps of what is there the keys that are declared. Lists keep the declared order when only that differs.
func project(declared, there any) any {
	switch was := declared.(type) {
	case values:
		now, ok := there.(values)
		if !ok {
			return there
		}
		out := values{}
		for key, value := range was {
			if kept, ok := now[key]; ok {
				out[key] = project(value, kept)
			} else if value == nil {
				out[key] = nil
			}
		}
		return out
	case []any:
		now, ok := there.([]any)
		if ok && len(now) == len(was) && equal(&Field{kind: "set", elem: &Field{kind: "any"}}, texts(now), texts(was)) {
			return was
		}
	}
	return there
}

func texts(in []any) []any {
	out := make([]any, len(in))
	for i, item := range in {
		text, _ := json.Marshal(item)
		out[i] = string(text)
	}
	return out
}
