package schema

import (
	"strings"
)

const reserved = "!*'();:@&=+$,/?%#[]"

// NormalizePath decodes what needs no encoding, resolves dot segments and
// merges slashes, so that one resource has one spelling for the router.
func NormalizePath(path string) string {
	if strings.IndexByte(path, '%') >= 0 {
		path = decodeUnreserved(path)
	}
	if !strings.Contains(path, "//") && !strings.Contains(path, "/.") {
		return path
	}
	return removeDots(path)
}

func decodeUnreserved(path string) string {
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		if path[i] != '%' || i+2 >= len(path) || !isHex(path[i+1]) || !isHex(path[i+2]) {
			b.WriteByte(path[i])
			continue
		}
		c := unhex(path[i+1])<<4 | unhex(path[i+2])
		if strings.IndexByte(reserved, c) >= 0 {
			b.WriteString(strings.ToUpper(path[i : i+3]))
		} else {
			b.WriteByte(c)
		}
		i += 2
	}
	return b.String()
}

func removeDots(path string) string {
	out := make([]string, 0, strings.Count(path, "/"))
	parts := strings.Split(path, "/")
	for i, part := range parts[1:] {
		last := i == len(parts)-2
		switch {
		case part == "." || part == "..":
			if part == ".." && len(out) > 0 {
				out = out[:len(out)-1]
			}
			if last {
				out = append(out, "")
			}
		case part == "" && !last: // a doubled slash
		default:
			out = append(out, part)
		}
	}
	return "/" + strings.Join(out, "/")
}

// EscapePath encodes what may not stand in a request line.
func EscapePath(path string) string {
	const plain = "!#$&'()*+,/:;=?@[]-_.~%"
	clean := true
	for i := 0; i < len(path) && clean; i++ {
		clean = alphanumeric(rune(path[i])) || strings.IndexByte(plain, path[i]) >= 0
	}
	if clean {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		c := path[i]
		if alphanumeric(rune(c)) || strings.IndexByte(plain, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte("0123456789ABCDEF"[c>>4])
		b.WriteByte("0123456789ABCDEF"[c&15])
	}
	return b.String()
}

func isHex(c byte) bool {
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F')
}

func unhex(c byte) byte {
	switch {
	case c >= 'a':
		return c - 'a' + 10
	case c >= 'A':
		return c - 'A' + 10
	}
	return c - '0'
}
