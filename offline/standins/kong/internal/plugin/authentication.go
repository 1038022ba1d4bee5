package plugin

import (
	"net/http"

	"nexus/standins/kong/internal/schema"
	"nexus/standins/kong/internal/store"
)

// authentication is what all authentication plugins share.
type authentication struct {
	anonymous string
	preflight bool // also authenticate OPTIONS requests
}

func anonymousField() schema.Field { return schema.Text("anonymous") }

func newAuthentication(config map[string]any) authentication {
	preflight, given := config["run_on_preflight"].(bool)
	return authentication{anonymous: str(config, "anonymous"), preflight: !given || preflight}
}

// run authenticates: attempt tells whether it did, refuse answers if it did not. With an anonymous consumer several
// plugins are alternatives; without, each of them has to succeed.
func (a *authentication) run(x *Exchange, attempt func() bool, refuse func()) {
	if !a.preflight && x.Request.Method == http.MethodOptions {
		return
	}
	if a.anonymous == "" {
		if !attempt() {
			refuse()
		}
		return
	}
	if x.Credential != nil || attempt() {
		return
	}
	consumer := x.Directory.Consumer(a.anonymous)
	if consumer == nil {
		x.Refuse(http.StatusInternalServerError, "An unexpected error occurred")
		return
	}
	x.identify(consumer, nil, "")
}

// identify sets who sent the request, and tells the upstream; what the client claimed about it is removed.
func (x *Exchange) identify(consumer, credential store.Entity, identifier string) {
	x.Consumer, x.Credential = consumer, credential
	anonymous := ""
	if credential == nil {
		anonymous = "true"
	}
	text := func(name string) string { s, _ := consumer[name].(string); return s }
	for name, value := range map[string]string{
		"X-Consumer-Id": text("id"), "X-Consumer-Custom-Id": text("custom_id"), "X-Consumer-Username": text("username"),
		"X-Credential-Identifier": identifier, "X-Anonymous-Consumer": anonymous,
	} {
		if value == "" {
			x.Request.Header.Del(name)
		} else {
			x.Request.Header.Set(name, value)
		}
	}
}

// challenge is the value of WWW-Authenticate.
func challenge(scheme, realm string) string {
	if realm == "" {
		return scheme
	}
	return scheme + ` realm="` + realm + `"`
}
