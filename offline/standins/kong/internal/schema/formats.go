package schema

import (
	"crypto/x509"
	"encoding/pem"
	"net"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Address is a host with an optional port (0: none).
type Address struct {
	Host string
	Port int
	Name bool // a host name, not an IP address
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?$`)

// ParseAddress reads "host", "host:port", "1.2.3.4:80", "[::1]:80" or "::1".
func ParseAddress(s string) (Address, string) {
	host, port := s, ""
	switch {
	case strings.HasPrefix(s, "["):
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return Address{}, "invalid ipv6 address"
		}
		host, port = s[1:end], strings.TrimPrefix(s[end+1:], ":")
	case strings.Count(s, ":") == 1:
		host, port, _ = strings.Cut(s, ":")
		if port == "" {
			return Address{}, "invalid port number"
		}
	}
	n := 0
	if port != "" {
		var err error
		if n, err = strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
			return Address{}, "invalid port number"
		}
	}
	if ip := net.ParseIP(host); ip != nil {
		return Address{Host: host, Port: n}, ""
	}
	if !hostName.MatchString(host) || looksNumeric(host) {
		return Address{}, "invalid hostname: " + host
	}
	return Address{Host: host, Port: n, Name: true}, ""
}

// looksNumeric catches "1.2.3.400", which is no host name either.
func looksNumeric(host string) bool {
	return strings.Trim(host, "0123456789.") == "" && strings.Count(host, ".") == 3
}

// CheckHost wants a host without port.
func CheckHost(v any) string {
	a, problem := ParseAddress(v.(string))
	if problem != "" && problem != "invalid port number" {
		return "invalid value: " + v.(string)
	}
	if problem != "" || a.Port != 0 {
		return "must not have a port"
	}
	return ""
}

// CheckHostPort wants a host with an optional port.
func CheckHostPort(v any) string {
	_, problem := ParseAddress(v.(string))
	return problem
}

// CheckServerName wants a host name without port, as used in TLS; "*" may
// stand first or last.
func CheckServerName(v any) string {
	host := v.(string)
	if i := strings.IndexByte(host, '*'); i >= 0 {
		if i != 0 && i != len(host)-1 {
			return "wildcard must be leftmost or rightmost character"
		}
		if strings.Count(host, "*") > 1 {
			return "only one wildcard must be specified"
		}
		host = strings.Replace(host, "*", "wildcard", 1)
	}
	if msg := CheckHost(host); msg != "" {
		return msg
	}
	if a, _ := ParseAddress(host); !a.Name {
		return "must not be an IP"
	}
	return ""
}

// CheckRouteHost wants a host with at most one wildcard label.
func CheckRouteHost(v any) string {
	host := v.(string)
	if strings.Count(host, "*") > 1 {
		return "invalid wildcard: must have at most one wildcard"
	}
	if strings.Contains(host, "*") && !strings.HasPrefix(host, "*.") && !strings.HasSuffix(host, ".*") {
		return "invalid wildcard: must be placed at leftmost or rightmost label"
	}
	return CheckHostPort(strings.ReplaceAll(host, "*", "abc"))
}

var (
	pathChars  = regexp.MustCompile(`^/[A-Za-z0-9.\-_~/%:@!$&'()*+,;=]*$`)
	badPercent = regexp.MustCompile(`%([^0-9A-Fa-f].?|[0-9A-Fa-f]([^0-9A-Fa-f]|$)|$)`)
)

// CheckPath wants an absolute path of URL characters.
func CheckPath(v any) string {
	path := v.(string)
	switch {
	case !strings.HasPrefix(path, "/"):
		return "should start with: /"
	case strings.Contains(path, "//"):
		return "must not have empty segments"
	case !pathChars.MatchString(path):
		return "invalid path: '" + path + "' (characters outside of the reserved list of RFC 3986 found)"
	}
	if bad := badPercent.FindString(path); bad != "" {
		return "invalid url-encoded value: '" + bad + "'"
	}
	return ""
}

// CheckRoutePath wants a normalized prefix or "~/" and a regular expression.
func CheckRoutePath(v any) string {
	path := v.(string)
	if expr, isRegex := strings.CutPrefix(path, "~"); isRegex {
		if !strings.HasPrefix(expr, "/") {
			return "should start with: / (fixed path) or ~/ (regex path)"
		}
		if _, err := regexp.Compile("^" + expr); err != nil {
			return "invalid regex: '" + expr + "' (" + err.Error() + ")"
		}
		return ""
	}
	if !strings.HasPrefix(path, "/") {
		return "should start with: / (fixed path) or ~/ (regex path)"
	}
	if msg := CheckPath(path); msg != "" {
		return msg
	}
	if normal := NormalizePath(path); normal != path {
		return "non-normalized path, consider use '" + normal + "' instead"
	}
	return ""
}

// CheckName wants letters, digits and ". - _ ~"; other scripts are fine.
func CheckName(v any) string {
	return checkRunes(v.(string), func(r rune) bool {
		return r >= 128 || strings.ContainsRune(".-_~", r) || alphanumeric(r)
	}, func(s string) string {
		return "invalid value '" + s + "': the only accepted ascii characters are alphanumerics or ., -, _, and ~"
	})
}

// CheckTag wants printable text without "," and "/".
func CheckTag(v any) string {
	return checkRunes(v.(string), func(r rune) bool {
		return r >= 128 || (r >= 32 && r < 127 && r != ',' && r != '/')
	}, func(s string) string {
		return "invalid tag '" + s + "': expected printable ascii (except `,` and `/`) or valid utf-8 sequences"
	})
}

func checkRunes(s string, allowed func(rune) bool, message func(string) string) string {
	if !utf8.ValidString(s) {
		return "invalid utf-8 character sequence detected"
	}
	for _, r := range s {
		if !allowed(r) {
			return message(s)
		}
	}
	return ""
}

func alphanumeric(r rune) bool {
	return (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9')
}

var (
	headerName = regexp.MustCompile(`^[A-Za-z0-9!#$%&'*+\-.^_|~` + "`" + `]+$`)
	method     = regexp.MustCompile(`^[A-Z]+$`)
)

// CheckHeaderName wants an HTTP token.
func CheckHeaderName(v any) string {
	if !headerName.MatchString(v.(string)) {
		return "bad header name '" + v.(string) + "', allowed characters are A-Z, a-z, 0-9, '_', and '-'"
	}
	return ""
}

// CheckMethod wants capital letters.
func CheckMethod(v any) string {
	if !method.MatchString(v.(string)) {
		return "invalid value: " + v.(string)
	}
	return ""
}

// CheckCertificate wants a PEM certificate.
func CheckCertificate(v any) string {
	block, _ := pem.Decode([]byte(v.(string)))
	if block == nil {
		return "invalid certificate: no PEM data found"
	}
	if _, err := x509.ParseCertificate(block.Bytes); err != nil {
		return "invalid certificate: " + err.Error()
	}
	return ""
}

// CheckPrivateKey wants PEM data; the pair is verified together with its certificate.
func CheckPrivateKey(v any) string {
	if block, _ := pem.Decode([]byte(v.(string))); block == nil {
		return "invalid key: no PEM data found"
	}
	return ""
}
