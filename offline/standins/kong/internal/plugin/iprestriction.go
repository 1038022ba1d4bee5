package plugin

import (
	"net/http"
	"net/netip"

	"nexus/standins/kong/internal/schema"
)

var ipRestriction = Definition{
	Name: "ip-restriction", Version: "3.9.1", Priority: 990,
	Config: []schema.Field{
		schema.ListOf("allow", schema.Field{Type: schema.String, Check: checkRange}),
		schema.ListOf("deny", schema.Field{Type: schema.String, Check: checkRange}),
		{Name: "status", Type: schema.Number}, schema.Text("message"),
	},
	Checks: []schema.EntityCheck{atLeastOne("config", "allow", "deny")},
	New: func(config map[string]any) any {
		p := &addresses{allow: ranges(config, "allow"), deny: ranges(config, "deny"), status: http.StatusForbidden}
		if config["status"] != nil {
			p.status = int(num(config, "status"))
		}
		p.message = str(config, "message")
		return p
	},
}

func checkRange(v any) string {
	if _, ok := parseRange(v.(string)); !ok {
		return "invalid ip or cidr range: '" + v.(string) + "'"
	}
	return ""
}

func parseRange(text string) (netip.Prefix, bool) {
	if prefix, err := netip.ParsePrefix(text); err == nil {
		return prefix.Masked(), true
	}
	if ip, err := netip.ParseAddr(text); err == nil {
		return netip.PrefixFrom(ip, ip.BitLen()), true
	}
	return netip.Prefix{}, false
}

func ranges(config map[string]any, name string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range strs(config, name) {
		prefix, _ := parseRange(text)
		out = append(out, prefix)
	}
	return out
}

type addresses struct {
	allow, deny []netip.Prefix
	status      int
	message     string
}

func (p *addresses) Access(x *Exchange) {
	ip, err := netip.ParseAddr(x.ClientIP)
	if err != nil {
		x.Refuse(http.StatusForbidden, "Cannot identify the client IP address, unix domain sockets are not supported.")
		return
	}
	ip = ip.Unmap()
	if within(p.deny, ip) || (len(p.allow) > 0 && !within(p.allow, ip)) {
		message := p.message
		if message == "" {
			message = "IP address not allowed: " + x.ClientIP
		}
		x.Refuse(p.status, message)
	}
}

func within(list []netip.Prefix, ip netip.Addr) bool {
	for _, prefix := range list {
		if prefix.Contains(ip) {
			return true
		}
	}
	return false
}
