package conf

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// Listen is one address a server listens on.
type Listen struct {
	Address string
	Port    int
	TLS     bool
	HTTP2   bool
}

// ParseListen reads "0.0.0.0:8000 reuseport backlog=16384, 0.0.0.0:8443 http2 ssl" or "off".
func ParseListen(text string) ([]Listen, error) {
	out := []Listen{}
	for _, item := range split(text) {
		words := strings.Fields(item)
		if words[0] == "off" {
			return nil, nil
		}
		_, port, err := net.SplitHostPort(words[0])
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(port)
		if err != nil || n < 0 || n > 65535 {
			return nil, fmt.Errorf("invalid port '%s'", port)
		}
		l := Listen{Address: words[0], Port: n}
		for _, flag := range words[1:] {
			l.TLS = l.TLS || flag == "ssl"
			l.HTTP2 = l.HTTP2 || flag == "http2"
		}
		out = append(out, l)
	}
	return out, nil
}
