package router

import (
	"strconv"
	"strings"
)

// UpstreamPath combines the service's path with what is left of the request's
// path after the route has taken its part.
func (r *Router) UpstreamPath(m *Match, path string) string {
	base := "/"
	if p, ok := m.Service["path"].(string); ok && p != "" {
		base = p
	}
	strip := m.Route["strip_path"] == true
	rest := strings.TrimPrefix(path, "/")
	if strip && m.matched != "" {
		rest = cleanRest(path[len(m.matched):])
	}
	if r.traditional && m.Route["path_handling"] == "v1" {
		return joinV1(base, path, rest, strip)
	}
	return joinV0(base, path, rest, strip)
}

// cleanRest keeps what was cut off from starting with a dot segment.
func cleanRest(rest string) string {
	switch {
	case rest == "." || rest == "..":
		return ""
	case strings.HasPrefix(rest, "./"):
		return rest[2:]
	case strings.HasPrefix(rest, "../"):
		return rest[3:]
	}
	return rest
}

// joinV0 joins with exactly one slash in between.
func joinV0(base, path, rest string, strip bool) string {
	slash := strings.HasSuffix(base, "/")
	switch {
	case !strip && slash:
		return base + path[1:]
	case !strip && path == "/":
		return base
	case !strip:
		return base + path
	case rest == "" && base == "/":
		return "/"
	case rest == "" && slash && strings.HasSuffix(path, "/"):
		return base
	case rest == "" && slash:
		return base[:len(base)-1]
	case rest == "" && len(path) > 1 && strings.HasSuffix(path, "/"):
		return base + "/"
	case rest == "":
		return base
	case slash:
		return base + strings.TrimPrefix(rest, "/")
	case strings.HasPrefix(rest, "/"):
		return base + rest
	}
	return base + "/" + rest
}

// joinV1 concatenates, and only avoids a doubled slash.
func joinV1(base, path, rest string, strip bool) string {
	if !strip {
		return base + path[1:]
	}
	if strings.HasSuffix(base, "/") && strings.HasPrefix(rest, "/") {
		return base + rest[1:]
	}
	return base + rest
}

// Capture is a group of the route's regular expression, by name or number.
func (m *Match) Capture(name string) string {
	for i, group := range m.names {
		if i > 0 && (group == name || strconv.Itoa(i) == name) {
			return m.Captures[i-1]
		}
	}
	return ""
}
