package admin

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"nexus/standins/kong/internal/schema"
)

const maxBody = 10 << 20 // bytes, as the original's admin server

// readBody decodes the body; the answer is nil when that went well.
func (c *call) readBody() *reply {
	if c.Method != http.MethodPost && c.Method != http.MethodPut && c.Method != http.MethodPatch {
		return nil
	}
	if len(c.Header.Values("Content-Type")) > 1 {
		bad := message(http.StatusBadRequest, "Multiple Content-Type headers not allowed")
		return &bad
	}
	kind := strings.ToLower(c.Header.Get("Content-Type"))
	switch {
	case strings.HasPrefix(kind, "application/json"):
		return c.readJSON()
	case strings.HasPrefix(kind, "application/x-www-form-urlencoded"), strings.HasPrefix(kind, "multipart/form-data"):
		if c.readForm() != nil {
			bad := message(http.StatusBadRequest, "Cannot parse form body")
			return &bad
		}
		return nil
	case kind == "" && c.ContentLength == 0:
		return nil
	}
	bad := message(http.StatusUnsupportedMediaType, "Unsupported media type")
	return &bad
}

func (c *call) readJSON() *reply {
	text, err := io.ReadAll(io.LimitReader(c.Body, maxBody))
	if err == nil && len(text) == 0 && c.ContentLength == 0 {
		return nil
	}
	var doc map[string]any
	if err != nil || json.Unmarshal(text, &doc) != nil {
		bad := message(http.StatusBadRequest, "Cannot parse JSON body")
		return &bad
	}
	c.raw = doc
	return nil
}

func (c *call) readForm() error {
	c.form = true
	if strings.HasPrefix(c.Header.Get("Content-Type"), "multipart/") {
		if err := c.ParseMultipartForm(maxBody); err != nil {
			return err
		}
		c.raw = map[string][]string(c.MultipartForm.Value)
		return nil
	}
	text, err := io.ReadAll(io.LimitReader(c.Body, maxBody))
	if err != nil {
		return err
	}
	values, err := url.ParseQuery(string(text))
	c.raw = map[string][]string(values)
	return err
}

// input is the body as a record of sc.
func (c *call) input(sc *schema.Schema) (map[string]any, error) { return c.inputFor(sc, nil) }

// inputFor is input for a change of an existing entity.
func (c *call) inputFor(sc *schema.Schema, existing map[string]any) (map[string]any, error) {
	if doc, ok := c.raw.(map[string]any); ok && !c.form {
		return schema.Clone(doc).(map[string]any), nil
	}
	values, _ := c.raw.(map[string][]string)
	record := nest(values)
	known := existing
	if record["name"] != nil || known == nil {
		known = record
	}
	fields, _ := sc.FieldsOf(known)
	infer(fields, record)
	return record, nil
}

// nest turns "config.key", "hosts[]", "hosts[1]" into records and lists.
func nest(values map[string][]string) map[string]any {
	out := map[string]any{}
	for name, items := range values {
		parts := strings.Split(name, ".")
		into := out
		for _, part := range parts[:len(parts)-1] {
			next, ok := into[part].(map[string]any)
			if !ok {
				next = map[string]any{}
				into[part] = next
			}
			into = next
		}
		last, isList := parts[len(parts)-1], false
		if i := strings.IndexByte(last, '['); i > 0 && strings.HasSuffix(last, "]") {
			last, isList = last[:i], true
		}
		list, _ := into[last].([]any)
		for _, item := range items {
			list = append(list, item)
		}
		if isList || len(list) > 1 {
			into[last] = list
		} else {
			into[last] = list[0]
		}
	}
	return out
}

// infer gives form values the types of their fields; "" stands for null.
func infer(fields []schema.Field, record map[string]any) {
	for i := range fields {
		if v, ok := record[fields[i].Name]; ok {
			record[fields[i].Name] = inferValue(&fields[i], v)
		}
	}
}

func inferValue(f *schema.Field, v any) any {
	text, isText := v.(string)
	if isText && text == "" {
		return nil
	}
	switch f.Type {
	case schema.Integer, schema.Number:
		if n, err := strconv.ParseFloat(text, 64); isText && err == nil {
			return n
		}
	case schema.Boolean:
		if isText && (text == "true" || text == "false") {
			return text == "true"
		}
	case schema.Array, schema.Set:
		items, isList := v.([]any)
		if !isList {
			items = []any{v}
		}
		for i := range items {
			items[i] = inferValue(f.Elements, items[i])
		}
		return items
	case schema.Record:
		if m, ok := v.(map[string]any); ok {
			infer(f.Fields, m)
		}
	case schema.Map:
		if m, ok := v.(map[string]any); ok {
			for k := range m {
				m[k] = inferValue(f.Values, m[k])
			}
		}
	case schema.Foreign:
		if isText {
			return map[string]any{"id": text}
		}
	}
	return v
}
