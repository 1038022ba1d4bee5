package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
)

const suffixDigits = 7 // of an automatic name, as the official plugins have it

// autoname names what was not named: the old name when there is one, else the resource's own and a random suffix.
func (r *Row) autoname(req *pulumirpc.CheckRequest, olds, news values) {
	for name, field := range r.Fields {
		if !field.Autoname || news[name] != nil {
			continue
		}
		proposal := req.GetAutonaming()
		switch {
		case olds[name] != nil:
			news[name] = olds[name]
		case proposal.GetMode() == pulumirpc.CheckRequest_AutonamingOptions_DISABLE:
		case proposal.GetProposedName() != "":
			news[name] = proposal.GetProposedName()
		default:
			urn := resource.URN(req.GetUrn())
			seed := sha256.Sum256(append([]byte(urn), req.GetRandomSeed()...))
			news[name] = urn.Name() + "-" + hex.EncodeToString(seed[:])[:suffixDigits]
		}
	}
}

// hidden lists the texts that must not show in an error: every secret the request knows of.
func (s *server) hidden(row *Row, from ...resource.PropertyMap) []string {
	out := []string{}
	collect := func(text string) {
		if text != "" && text != "true" && text != "false" {
			out = append(out, text)
		}
	}
	for name, field := range s.table.Provider.Config {
		if text, ok := s.config[name].(string); ok && field.Secret {
			collect(text)
		}
	}
	for _, in := range from {
		concealed(row.Fields, in, collect)
	}
	return out
}

// concealed visits what is secret by the fields or by itself, at any depth.
func concealed(fields map[string]*Field, in resource.PropertyMap, visit func(string)) {
	for key, value := range in {
		field := fields[string(key)]
		if field != nil && field.kind == "object" && value.IsObject() {
			concealed(field.Fields, value.ObjectValue(), visit)
			continue
		}
		leaves(value, field != nil && field.Secret, visit)
	}
}

// leaves visits the texts of a value that are secret, and those inside a text that is itself JSON.
func leaves(v resource.PropertyValue, secret bool, visit func(string)) {
	switch {
	case v.IsSecret():
		leaves(v.SecretValue().Element, true, visit)
	case v.IsObject():
		for _, item := range v.ObjectValue() {
			leaves(item, secret, visit)
		}
	case v.IsArray():
		for _, item := range v.ArrayValue() {
			leaves(item, secret, visit)
		}
	case v.IsString() && secret:
		visit(v.StringValue())
		var inner any
		if json.Unmarshal([]byte(v.StringValue()), &inner) == nil {
			if _, text := inner.(map[string]any); text {
				leaves(resource.NewPropertyValue(inner), true, visit)
			}
		}
	}
}

// parsed reads a configuration value that came as text.
func parsed(field *Field, text string) any {
	if field.kind == "string" {
		return text
	}
	if number, err := strconv.ParseFloat(text, 64); err == nil {
		return number
	}
	var value any
	if json.Unmarshal([]byte(text), &value) != nil {
		return text
	}
	return value
}
