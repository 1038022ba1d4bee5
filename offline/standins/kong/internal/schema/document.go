package schema

// Document describes fields the way /schemas does.
func Document(fields []Field, checks []EntityCheck) map[string]any {
	list := make([]any, 0, len(fields))
	for i := range fields {
		list = append(list, map[string]any{fields[i].Name: describe(&fields[i])})
	}
	labels := make([]any, 0, len(checks))
	for _, c := range checks {
		labels = append(labels, map[string]any{c.Label: true})
	}
	return map[string]any{"fields": list, "entity_checks": labels}
}

func describe(f *Field) map[string]any {
	d := map[string]any{"type": f.Type}
	set := func(name string, value any, given bool) {
		if given {
			d[name] = value
		}
	}
	set("required", true, f.Required)
	set("default", f.Default, f.Default != nil)
	set("one_of", f.OneOf, len(f.OneOf) > 0)
	set("gt", 0, f.Positive)
	set("unique", true, f.Unique)
	set("auto", true, f.Auto)
	set("uuid", true, f.UUID)
	set("timestamp", true, f.Timestamp != "")
	set("len_min", f.LenMin, f.LenMin > 0)
	set("reference", f.Reference, f.Reference != "")
	set("on_delete", "cascade", f.Cascade)
	set("eq", nil, f.NullError != "")
	if f.Between != nil {
		d["between"] = []float64{f.Between.Min, f.Between.Max}
	}
	if f.Elements != nil {
		d["elements"] = describe(f.Elements)
	}
	if f.Type == Map {
		d["keys"], d["values"] = describe(f.Keys), describe(f.Values)
	}
	if f.Type == Record {
		d["fields"] = Document(f.Fields, nil)["fields"]
	}
	return d
}
