package server

import (
	"crypto/sha1" //nolint:gosec // a format of the file
	"crypto/subtle"
	"encoding/base64"
	"log/slog"
	"net/http"
	"os"
	"strings"
)

// asked lets only the users of a file through, as nginx's auth_basic does; "" lets everybody. The file is read for
// each request, so that a new password counts at once.
func asked(file string, next http.Handler) http.Handler {
	if file == "" {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, password, _ := r.BasicAuth()
		if !allowed(file, name, password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="kong"`)
			http.Error(w, "401 Authorization Required", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// allowed looks the user up. Of the file's schemes, {PLAIN} and {SHA} are understood.
func allowed(file, name, password string) bool {
	text, err := os.ReadFile(file)
	if err != nil {
		slog.Error("users of the Admin API cannot be read", "error", err)
		return false
	}
	for _, line := range strings.Split(string(text), "\n") {
		user, stored, found := strings.Cut(strings.TrimSpace(line), ":")
		if !found || user != name || name == "" {
			continue
		}
		given := "{PLAIN}" + password
		if strings.HasPrefix(stored, "{SHA}") {
			sum := sha1.Sum([]byte(password)) //nolint:gosec // a format of the file
			given = "{SHA}" + base64.StdEncoding.EncodeToString(sum[:])
		}
		return subtle.ConstantTimeCompare([]byte(stored), []byte(given)) == 1
	}
	return false
}
