package conf

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

// cacheDictionary is the memory that responses go to unless another is named, and its limit here, in bytes.
const (
	cacheDictionary      = "kong_db_cache"
	cacheDictionaryLimit = 32 << 20
)

// dictionaries reads the directive "lua_shared_dict": a name and a size.
func dictionaries(directive string) map[string]int64 {
	out := map[string]int64{cacheDictionary: cacheDictionaryLimit}
	if words := strings.Fields(directive); len(words) == 2 {
		out[words[0]] = size(words[1])
	}
	return out
}

// Redirect sends plain requests to the same place over TLS.
type Redirect struct {
	Status int
	Port   string // with its colon; "" for the scheme's own
}

// toHTTPS is the one nginx idiom that is understood in an included file.
var toHTTPS = regexp.MustCompile(`if \(\$scheme = http\) \{\s*return (30[1278]) https://\$host(:\d+)?\$request_uri;\s*\}`)

// readRedirect looks for the idiom in the file of the directive "include" of the proxy's server.
func (c *Config) readRedirect(path string) error {
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("nginx_proxy_include: %w", err)
	}
	m := toHTTPS.FindSubmatch(text)
	if m == nil {
		c.Warnings = append(c.Warnings, "nginx_proxy_include ignored: only a redirect of plain requests to https is understood")
		return nil
	}
	status, _ := strconv.Atoi(string(m[1]))
	c.ToHTTPS = &Redirect{Status: status, Port: string(m[2])}
	return nil
}
