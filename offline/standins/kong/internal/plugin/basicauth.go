package plugin

import (
	"crypto/subtle"
	"encoding/base64"
	"net/http"
	"regexp"
	"strings"

	"nexus/standins/kong/internal/entity"
	"nexus/standins/kong/internal/schema"
	"nexus/standins/kong/internal/store"
)

var basicAuth = Definition{
	Name: "basic-auth", Version: "3.9.1", Priority: 1100, NoConsumer: true,
	Config: []schema.Field{
		anonymousField(), schema.Flag("hide_credentials", false),
		{Name: "realm", Type: schema.String, Required: true, Default: "service"},
	},
	New: func(config map[string]any) any {
		return &basic{newAuthentication(config), flag(config, "hide_credentials"), str(config, "realm")}
	},
}

type basic struct {
	authentication
	hide  bool
	realm string
}

func (p *basic) Access(x *Exchange) {
	p.run(x, func() bool { return p.authenticate(x) }, func() {
		x.SetHeader("WWW-Authenticate", challenge("Basic", p.realm))
		x.Refuse(http.StatusUnauthorized, "Unauthorized")
	})
}

func (p *basic) authenticate(x *Exchange) bool {
	var credential store.Entity
	password := ""
	for _, header := range []string{"Proxy-Authorization", "Authorization"} {
		name, given, ok := p.read(x.Request, header)
		if ok {
			credential, password = x.Directory.Credential("basicauth_credentials", name), given
		}
		if credential != nil {
			break
		}
	}
	if credential == nil {
		return false
	}
	digest, _ := credential["password"].(string)
	given := entity.HashPassword(store.Foreign(credential, "consumer"), password)
	if subtle.ConstantTimeCompare([]byte(digest), []byte(given)) == 0 {
		return false
	}
	x.identify(x.Directory.Owner(credential), credential, credential["username"].(string))
	return true
}

var basicScheme = regexp.MustCompile(`[Bb]asic\s*(.+)`)

func (p *basic) read(r *http.Request, header string) (name, password string, ok bool) {
	m := basicScheme.FindStringSubmatch(r.Header.Get(header))
	if p.hide {
		r.Header.Del(header)
	}
	if m == nil {
		return "", "", false
	}
	text, err := base64.StdEncoding.DecodeString(strings.TrimSpace(m[1]))
	if err != nil {
		return "", "", false
	}
	name, password, ok = strings.Cut(string(text), ":")
	return name, password, ok && name != ""
}
