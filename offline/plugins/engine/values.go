package engine

import (
	"encoding/json"
	"reflect"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	"google.golang.org/protobuf/types/known/structpb"
)

// unknown stands for a value that only an update will tell.
type unknown struct{}

// values are properties without their secrecy: nil, bool, float64, string, unknown, []any and map[string]any.
type values = map[string]any

func unmarshal(in *structpb.Struct) (resource.PropertyMap, error) {
	return plugin.UnmarshalProperties(in, plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: true, SkipNulls: true})
}

func (s *server) marshal(in resource.PropertyMap) (*structpb.Struct, error) {
	return plugin.MarshalProperties(in, plugin.MarshalOptions{KeepUnknowns: true, KeepSecrets: s.secrets, SkipNulls: true})
}

// plain drops secrecy and provider-internal keys ("__defaults", "__meta").
func plain(in resource.PropertyMap) values {
	out := values{}
	for key, value := range in {
		if !resource.IsInternalPropertyKey(key) {
			out[string(key)] = plainValue(value)
		}
	}
	return out
}

func plainValue(v resource.PropertyValue) any {
	switch {
	case v.IsSecret():
		return plainValue(v.SecretValue().Element)
	case v.IsComputed(), v.IsOutput() && !v.OutputValue().Known:
		return unknown{}
	case v.IsOutput():
		return plainValue(v.OutputValue().Element)
	case v.IsBool():
		return v.BoolValue()
	case v.IsNumber():
		return v.NumberValue()
	case v.IsString():
		return v.StringValue()
	case v.IsArray():
		out := make([]any, len(v.ArrayValue()))
		for i, item := range v.ArrayValue() {
			out[i] = plainValue(item)
		}
		return out
	case v.IsObject():
		return plain(v.ObjectValue())
	}
	return nil
}

func properties(in values) resource.PropertyMap {
	out := resource.PropertyMap{}
	for key, value := range in {
		if value != nil {
			out[resource.PropertyKey(key)] = property(value)
		}
	}
	return out
}

func property(v any) resource.PropertyValue {
	switch v := v.(type) {
	case unknown:
		return resource.MakeComputed(resource.NewProperty(""))
	case []any:
		out := make([]resource.PropertyValue, len(v))
		for i, item := range v {
			out[i] = property(item)
		}
		return resource.NewProperty(out)
	case values:
		return resource.NewProperty(properties(v))
	default:
		return resource.NewPropertyValue(v)
	}
}

// annotate makes out as secret as the value it came from.
func annotate(out, in resource.PropertyValue) resource.PropertyValue {
	switch {
	case in.IsSecret(), in.IsOutput() && in.OutputValue().Secret:
		return resource.MakeSecret(out)
	case in.IsObject() && out.IsObject():
		annotateMap(out.ObjectValue(), in.ObjectValue())
	case in.IsArray() && out.IsArray():
		if len(in.ArrayValue()) != len(out.ArrayValue()) {
			if in.ContainsSecrets() {
				return resource.MakeSecret(out)
			}
			return out
		}
		for i := range out.ArrayValue() {
			out.ArrayValue()[i] = annotate(out.ArrayValue()[i], in.ArrayValue()[i])
		}
	}
	return out
}

func annotateMap(out, in resource.PropertyMap) {
	for key, value := range out {
		if from, ok := in[key]; ok && !value.IsSecret() {
			out[key] = annotate(value, from)
		}
	}
}

// conceal makes secret what the row says is, besides what was secret in the properties it came from.
func (r *Row) conceal(out resource.PropertyMap, from ...resource.PropertyMap) resource.PropertyMap {
	for _, in := range from {
		annotateMap(out, in)
	}
	concealFields(r.Fields, out)
	return out
}

func concealFields(fields map[string]*Field, out resource.PropertyMap) {
	for name, field := range fields {
		key := resource.PropertyKey(name)
		value, ok := out[key]
		if !ok || value.IsSecret() {
			continue
		}
		with, follows := out[resource.PropertyKey(field.SecretWith)]
		if field.Secret || follows && with.ContainsSecrets() {
			out[key] = resource.MakeSecret(value)
		} else if field.kind == "object" && value.IsObject() {
			concealFields(field.Fields, value.ObjectValue())
		}
	}
}

// zero tells whether a value says no more than an absent one: the servers do not keep the two apart.
func zero(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case unknown:
		return false
	case bool:
		return !v
	case float64:
		return v == 0
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case values:
		for _, item := range v {
			if !zero(item) {
				return false
			}
		}
		return true
	}
	return false
}

// canonical gives JSON text one spelling; text that is no JSON stays.
func canonical(text string) string {
	var value any
	if json.Unmarshal([]byte(text), &value) != nil {
		return text
	}
	out, err := json.Marshal(value)
	if err != nil {
		return text
	}
	return string(out)
}

func sameJSON(a, b string) bool {
	var left, right any
	if json.Unmarshal([]byte(a), &left) != nil || json.Unmarshal([]byte(b), &right) != nil {
		return a == b
	}
	return reflect.DeepEqual(left, right)
}

func sameDuration(a, b string) bool {
	left, leftErr := time.ParseDuration(a)
	right, rightErr := time.ParseDuration(b)
	return a == b || leftErr == nil && rightErr == nil && left == right
}
