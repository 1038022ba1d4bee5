package admin

import (
	"net/http"

	"nexus/standins/kong/internal/store"
)

// proxyCache serves what the proxy-cache plugins keep: /proxy-cache, /proxy-cache/<key>, and the same of one plugin.
func (s *Server) proxyCache(c *call, read bool) reply {
	part := c.segments[1:]
	switch {
	case len(part) == 0 && c.Method == http.MethodDelete:
		for _, dictionary := range s.dictionaries("") {
			s.Responses.Flush(dictionary)
		}
		return reply{http.StatusNoContent, nil}
	case len(part) == 1:
		return s.cached(c, read, s.dictionaries(""), part[0])
	case len(part) == 3 && part[1] == "caches":
		return s.cached(c, read, s.dictionaries(part[0]), part[2])
	case len(part) == 0:
		return notAllowed()
	}
	return notFound()
}

// dictionaries are the memories of the plugin with this id, or ("") of all of them.
func (s *Server) dictionaries(id string) []string {
	var out []string
	for _, e := range s.Store.State().List("plugins") {
		if e["name"] == "proxy-cache" && (id == "" || store.ID(e) == id) {
			config := e["config"].(map[string]any)
			out = append(out, config["memory"].(map[string]any)["dictionary_name"].(string))
		}
	}
	return out
}

func (s *Server) cached(c *call, read bool, dictionaries []string, key string) reply {
	if !read && c.Method != http.MethodDelete {
		return notAllowed()
	}
	for _, dictionary := range dictionaries {
		found := s.Responses.Get(dictionary, key)
		if found == nil {
			continue
		}
		if read {
			return ok(found)
		}
		s.Responses.Purge(dictionary, key)
		return reply{http.StatusNoContent, nil}
	}
	return notFound()
}
