package plugin

import (
	"net/url"

	"nexus/standins/kong/internal/schema"
)

var redirect = Definition{
	Name: "redirect", Version: "3.9.1", Priority: 779,
	Config: []schema.Field{
		{Name: "status_code", Type: schema.Integer, Required: true, Default: 301.0, Between: schema.Between(100, 599)},
		{Name: "location", Type: schema.String, Required: true, Check: checkEndpoint},
		{Name: "keep_incoming_path", Type: schema.Boolean, Default: false},
	},
	New: func(config map[string]any) any {
		return &redirection{
			status: int(num(config, "status_code")), location: str(config, "location"), keep: flag(config, "keep_incoming_path"),
		}
	},
}

type redirection struct {
	status   int
	location string
	keep     bool
}

func (p *redirection) Access(x *Exchange) {
	location := p.location
	if u, err := url.Parse(location); p.keep && err == nil {
		u.Path, u.RawPath, u.RawQuery = x.Request.URL.Path, x.Request.URL.RawPath, x.Request.URL.RawQuery
		location = u.String()
	}
	x.SetHeader("Location", location)
	x.Exit(p.status, []byte("redirecting"), "")
}
