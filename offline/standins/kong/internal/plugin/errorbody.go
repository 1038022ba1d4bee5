package plugin

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

const (
	mimeJSON  = "application/json; charset=utf-8"
	mimeHTML  = "text/html; charset=utf-8"
	mimeXML   = "application/xml; charset=utf-8"
	mimePlain = "text/plain; charset=utf-8"
)

var mimes = map[string]string{
	"application/json": mimeJSON, "application/*": mimeJSON, "*/*": mimeJSON,
	"text/html": mimeHTML, "application/xml": mimeXML, "text/plain": mimePlain, "text/*": mimePlain,
}

var templates = map[string]string{
	mimeJSON:  "{\n  \"message\":%q,\n  \"request_id\":%q\n}",
	mimePlain: "%s\nrequest_id: %s\n",
	mimeXML:   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<error>\n  <message>%s</message>\n  <requestid>%s</requestid>\n</error>\n",
	mimeHTML: "<!doctype html>\n<html>\n  <head>\n    <meta charset=\"utf-8\">\n    <title>Error</title>\n  </head>\n  <body>\n" +
		"    <h1>Error</h1>\n    <p>%s.</p>\n    <p>request_id: %s</p>\n  </body>\n</html>\n",
}

// ErrorBody renders an error in the type the client asked for.
func ErrorBody(r *http.Request, message, id string) (body []byte, contentType string) {
	accept := r.Header.Get("Accept")
	if accept == "" {
		accept = r.Header.Get("Content-Type")
	}
	contentType = mimePlain
	if accept != "" {
		contentType = negotiate(accept)
	}
	return fmt.Appendf(nil, templates[contentType], message, id), contentType
}

func negotiate(accept string) string {
	best, found := 0.0, mimeJSON
	for _, item := range strings.Split(accept, ",") {
		kind, params, _ := strings.Cut(strings.TrimSpace(item), ";")
		q := 1.0
		if _, text, ok := strings.Cut(params, "q="); ok {
			q, _ = strconv.ParseFloat(strings.TrimSpace(text), 64)
		}
		if q > best {
			best = q
			if mime, ok := mimes[strings.ToLower(strings.TrimSpace(kind))]; ok {
				found = mime
			} else {
				found = mimeJSON
			}
		}
	}
	return found
}
