package plugin

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"nexus/standins/kong/internal/schema"
)

var corsMethods = []string{"GET", "HEAD", "PUT", "PATCH", "POST", "DELETE", "OPTIONS", "TRACE", "CONNECT"}

var cors = Definition{
	Name: "cors", Version: "3.9.1", Priority: 2000, NoConsumer: true,
	Config: []schema.Field{
		schema.ListOf("origins", schema.Field{Type: schema.String, Check: checkOrigin}),
		schema.ListOf("headers", schema.Field{Type: schema.String}),
		schema.ListOf("exposed_headers", schema.Field{Type: schema.String}),
		{
			Name: "methods", Type: schema.Array, Default: schema.Strings(corsMethods...),
			Elements: &schema.Field{Type: schema.String, OneOf: schema.Strings(corsMethods...)},
		},
		{Name: "max_age", Type: schema.Number},
		schema.Flag("credentials", false), schema.Flag("private_network", false),
		schema.Flag("preflight_continue", false), schema.Flag("allow_origin_absent", true),
	},
	New: newCORS,
}

func checkOrigin(v any) string {
	if _, err := regexp.Compile(v.(string)); v != "*" && err != nil {
		return "'" + v.(string) + "' is not a valid regex"
	}
	return ""
}

// plainOrigin tells literal origins from regular expressions.
var plainOrigin = regexp.MustCompile(`^[A-Za-z0-9.:/-]+$`)

type origin struct {
	any     bool
	literal string
	regex   *regexp.Regexp
	byHost  bool // the pattern has no scheme: compare hosts
}

type crossOrigin struct {
	config                                 map[string]any
	origins                                []origin
	headers, exposed, methods, maxAge      string
	credentials, private, proceed, noCheck bool
}

func newCORS(config map[string]any) any {
	p := &crossOrigin{
		config:  config,
		headers: strings.Join(strs(config, "headers"), ","), exposed: strings.Join(strs(config, "exposed_headers"), ","),
		methods: strings.Join(strs(config, "methods"), ","), credentials: flag(config, "credentials"),
		private: flag(config, "private_network"), proceed: flag(config, "preflight_continue"),
		noCheck: flag(config, "allow_origin_absent"),
	}
	if p.methods == "" {
		p.methods = strings.Join(corsMethods, ",")
	}
	if config["max_age"] != nil {
		p.maxAge = strconv.FormatFloat(num(config, "max_age"), 'f', -1, 64)
	}
	for _, text := range strs(config, "origins") {
		o := origin{any: text == "*", literal: text, byHost: !strings.Contains(text, ":")}
		if !o.any && !plainOrigin.MatchString(text) {
			o.regex = regexp.MustCompile("^(?:" + strings.TrimSuffix(strings.TrimPrefix(text, "^"), "$") + ")$")
		}
		p.origins = append(p.origins, o)
	}
	return p
}

// Access answers preflight requests.
func (p *crossOrigin) Access(x *Exchange) {
	h := x.Request.Header
	if x.Request.Method != http.MethodOptions || h.Get("Origin") == "" || h.Get("Access-Control-Request-Method") == "" {
		return
	}
	x.SetValue(p, true) // no further headers for a preflight
	if p.proceed {
		return
	}
	x.Header = http.Header{}
	p.origin(x.Header, h.Get("Origin"))
	headers := p.headers
	if headers == "" {
		headers = h.Get("Access-Control-Request-Headers")
	}
	for name, value := range map[string]string{
		"Access-Control-Allow-Headers": headers, "Access-Control-Allow-Methods": p.methods, "Access-Control-Max-Age": p.maxAge,
	} {
		if value != "" {
			x.SetHeader(name, value)
		}
	}
	if p.private && h.Get("Access-Control-Request-Private-Network") == "true" {
		x.SetHeader("Access-Control-Allow-Private-Network", "true")
	}
	x.Exit(http.StatusOK, nil, "")
}

// HeaderFilter marks ordinary responses.
func (p *crossOrigin) HeaderFilter(x *Exchange) {
	requested := x.Request.Header.Get("Origin")
	if x.Value(p) != nil || (requested == "" && !p.noCheck) {
		return
	}
	p.origin(x.Response.Header, requested)
	if p.exposed != "" {
		x.SetHeader("Access-Control-Expose-Headers", p.exposed)
	}
}

func (p *crossOrigin) origin(h http.Header, requested string) {
	allowed, everyone := p.match(requested)
	single := len(p.origins) == 1 && !p.origins[0].any
	if !everyone || len(p.origins) > 1 || single {
		h.Add("Vary", "Origin")
	}
	h.Del("Access-Control-Allow-Origin")
	if allowed != "" {
		h.Set("Access-Control-Allow-Origin", allowed)
	}
	switch {
	case !p.credentials:
	case !everyone:
		h.Set("Access-Control-Allow-Credentials", "true")
	case requested != "": // "*" and credentials exclude each other
		h.Add("Vary", "Origin")
		h.Set("Access-Control-Allow-Origin", requested)
		h.Set("Access-Control-Allow-Credentials", "true")
	}
}

// match finds the value of Access-Control-Allow-Origin.
func (p *crossOrigin) match(requested string) (allowed string, everyone bool) {
	if len(p.origins) == 0 || (len(p.origins) == 1 && p.origins[0].any) {
		return "*", true
	}
	if o := p.origins[0]; len(p.origins) == 1 && o.regex == nil {
		return o.literal, false
	}
	if requested == "" {
		return "", false
	}
	domain, host := normalizeOrigin(requested)
	for _, o := range p.origins {
		switch {
		case o.any:
			return "*", true
		case o.regex != nil && o.byHost && o.regex.MatchString(host), o.regex != nil && !o.byHost && o.regex.MatchString(domain):
			return domain, false
		case o.regex == nil:
			if literal, _ := normalizeOrigin(o.literal); literal == domain {
				return domain, false
			}
		}
	}
	return "", false
}

// normalizeOrigin drops default ports.
func normalizeOrigin(text string) (domain, host string) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" {
		return text, text
	}
	port := u.Port()
	if (u.Scheme == "http" && port == "80") || (u.Scheme == "https" && port == "443") {
		port = ""
	}
	domain = u.Hostname()
	if u.Scheme != "" {
		domain = u.Scheme + "://" + domain
	}
	if port != "" {
		domain += ":" + port
	}
	return domain, u.Hostname()
}
