package admin

import (
	"encoding/base64"
	"net/url"
	"sort"
	"strconv"
	"strings"

	"nexus/standins/kong/internal/schema"
	"nexus/standins/kong/internal/store"
)

const (
	defaultPage = 100
	maxPage     = 1000
)

// list answers one page of a collection.
func (s *Server) list(c *call, sc *schema.Schema, in *scope) (reply, error) {
	keep, err := tagFilter(c.query)
	if err != nil {
		return reply{}, err
	}
	items := []store.Entity{}
	for _, e := range s.Store.State().List(sc.Name) {
		if in != nil && store.Foreign(e, in.field) != store.ID(in.entity) {
			continue
		}
		if custom := c.query.Get("custom_id"); sc.Name == "consumers" && custom != "" && e["custom_id"] != custom {
			continue
		}
		if keep(e) {
			items = append(items, e)
		}
	}
	base := "/" + sc.Path
	if in != nil {
		base = "/" + in.parent.Path + "/" + in.key + "/" + sc.NestedPath()
	}
	page, next, err := paginate(items, c.query, base, store.ID)
	if err != nil {
		return reply{}, err
	}
	shown := make([]any, len(page))
	for i, e := range page {
		shown[i] = s.show(sc, e)
	}
	return ok(next.document(shown)), nil
}

// following says where the next page is.
type following struct{ offset, path string }

func (f following) document(items []any) map[string]any {
	doc := map[string]any{"data": items, "next": nil}
	if f.offset != "" {
		doc["offset"], doc["next"] = f.offset, f.path
	}
	return doc
}

// paginate cuts one page out of items, which are in order of their position.
func paginate[T any](items []T, query url.Values, base string, position func(T) string) ([]T, following, error) {
	size := defaultPage
	if text := query.Get("size"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			return nil, following{}, &store.Problem{Status: 400, Code: 9, Name: "invalid size", Message: "size must be a number"}
		}
		if n < 1 || n > maxPage {
			return nil, following{}, &store.Problem{
				Status: 400, Code: 9, Name: "invalid size",
				Message: "size must be an integer between 1 and " + strconv.Itoa(maxPage),
			}
		}
		size = n
	}
	if offset := query.Get("offset"); offset != "" {
		after, err := base64.StdEncoding.DecodeString(offset)
		if err != nil {
			return nil, following{}, &store.Problem{
				Status: 400, Code: 7, Name: "invalid offset",
				Message: "'" + offset + "' is not a valid offset: bad base64 encoding",
			}
		}
		start := 0
		for start < len(items) && position(items[start]) != string(after) {
			start++
		}
		items = items[min(start+1, len(items)):]
	}
	if len(items) <= size {
		return items, following{}, nil
	}
	next := following{offset: base64.StdEncoding.EncodeToString([]byte(position(items[size-1])))}
	next.path = base + "?offset=" + url.QueryEscape(next.offset)
	for _, name := range []string{"tags", "size"} {
		if v := query.Get(name); v != "" {
			next.path += "&" + name + "=" + url.QueryEscape(v)
		}
	}
	return items[:size], next, nil
}

// tagFilter understands ?tags=a,b (both) and ?tags=a/b (either).
func tagFilter(query url.Values) (func(store.Entity) bool, error) {
	if !query.Has("tags") {
		return func(store.Entity) bool { return true }, nil
	}
	text := query.Get("tags")
	all, either := strings.Contains(text, ","), strings.Contains(text, "/")
	if text == "" || (all && either) {
		why := "cannot be null"
		if text != "" {
			why = "invalid filter syntax"
		}
		return nil, &store.Problem{
			Status: 400, Code: 11, Name: "invalid options", Message: "invalid option (tags: " + why + ")",
			Options: map[string]any{"tags": why},
		}
	}
	separator := ","
	if either {
		separator = "/"
	}
	wanted := strings.Split(text, separator)
	return func(e store.Entity) bool {
		tags, _ := e["tags"].([]any)
		hits := 0
		for _, w := range wanted {
			if contains(tags, w) {
				hits++
			}
		}
		return hits == len(wanted) || (either && hits > 0)
	}, nil
}

// tags lists which entity carries which tag.
func (s *Server) tags(c *call, only string) (reply, error) {
	st := s.Store.State()
	rows := []map[string]any{}
	for kind := range s.Store.Schemas {
		for _, e := range st.List(kind) {
			tags, _ := e["tags"].([]any)
			for _, tag := range tags {
				if only == "" || tag == only {
					rows = append(rows, map[string]any{"entity_name": kind, "entity_id": store.ID(e), "tag": tag})
				}
			}
		}
	}
	position := func(r map[string]any) string { return r["entity_id"].(string) + " " + r["tag"].(string) }
	sort.Slice(rows, func(i, j int) bool { return position(rows[i]) < position(rows[j]) })
	base := "/tags"
	if only != "" {
		base += "/" + url.PathEscape(only)
	}
	page, next, err := paginate(rows, c.query, base, position)
	shown := make([]any, len(page))
	for i, row := range page {
		shown[i] = row
	}
	return ok(next.document(shown)), err
}
