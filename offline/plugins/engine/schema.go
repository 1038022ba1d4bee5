package engine

import (
	"context"
	"encoding/json"
	"strings"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

// GetSchema describes the table's types in the form the engine and code generators read.
func (s *server) GetSchema(context.Context, *pulumirpc.GetSchemaRequest) (*pulumirpc.GetSchemaResponse, error) {
	text, err := json.Marshal(s.table.schema())
	return &pulumirpc.GetSchemaResponse{Schema: string(text)}, err
}

func (t *Table) schema() values {
	types, resources := values{}, values{}
	for token, row := range t.Resources {
		all, needed := t.specs(row.Fields, token, types, true)
		inputs, required := t.specs(row.Fields, token, types, false)
		resources[token] = values{
			"properties": all, "required": needed, "inputProperties": inputs, "requiredInputs": required,
		}
	}
	config, _ := t.specs(t.Provider.Config, t.Name+":config:config", types, false)
	return values{
		"name": t.Name, "version": t.Version, "types": types, "resources": resources,
		"config":   values{"variables": config},
		"provider": values{"inputProperties": config, "properties": config},
	}
}

func (t *Table) specs(fields map[string]*Field, owner string, types values, outputs bool) (values, []string) {
	out, required := values{}, []string{}
	for _, name := range sorted(fields) {
		field := fields[name]
		if field.Output && !outputs {
			continue
		}
		spec := t.spec(field, name, owner, types)
		if field.Secret {
			spec["secret"] = true
		}
		if field.Default != nil && field.elem == nil && !outputs {
			spec["default"] = field.Default
		}
		if field.Replace && !outputs {
			spec["replaceOnChanges"] = true
		}
		out[name] = spec
		if field.Required || outputs && (field.Output || field.Computed || field.Autoname || field.Default != nil) {
			required = append(required, name)
		}
	}
	return out, required
}

func (t *Table) spec(field *Field, name, owner string, types values) values {
	switch field.kind {
	case "list", "set":
		return values{"type": "array", "items": t.spec(field.elem, strings.TrimSuffix(name, "s"), owner, types)}
	case "map":
		return values{"type": "object", "additionalProperties": t.spec(field.elem, name, owner, types)}
	case "object":
		token := owner + strings.ToUpper(name[:1]) + name[1:]
		fields, required := t.specs(field.Fields, token, types, false)
		types[token] = values{"type": "object", "properties": fields, "required": required}
		return values{"$ref": "#/types/" + token}
	case "json", "duration", "seconds":
		return values{"type": "string"}
	}
	return values{"type": field.kind}
}
