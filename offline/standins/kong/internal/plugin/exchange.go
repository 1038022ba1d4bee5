package plugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Exchange is one request and its response on their way through the gateway.
type Exchange struct {
	ID       string // of the request, 32 hex digits
	Start    time.Time
	Request  *http.Request // headers set here go to the upstream as well
	Scheme   string        // as seen by this server
	Host     string        // without port
	Port     int           // of the listener
	ServerIP string
	ClientIP string

	Route, Service map[string]any // nil when nothing matched
	Consumer       map[string]any // set by authentication plugins
	Credential     map[string]any

	// UpstreamPath replaces the path that the upstream gets, unless it is "".
	UpstreamPath string
	// Capture is what the route's regular expression found, by number or name; nil when nothing matched.
	Capture func(name string) string
	// Directory finds consumers and credentials; set from the access phase on.
	Directory *Directory

	// Header holds what plugins add to the response before there is one.
	Header http.Header
	// Response is what the client gets; set from the header_filter phase on.
	Response *http.Response
	// Proxied tells whether Response came from the upstream.
	Proxied bool
	// LogFields go to the access log.
	LogFields map[string]any
	// Outcome is what was sent; set in the log phase.
	Outcome Outcome

	ended  bool
	status int
	body   []byte
	values map[any]any
}

// Outcome is what became of an exchange. Times are milliseconds; Upstream is -1 when there was none.
type Outcome struct {
	Status                   int
	Sent                     int64 // bytes, with the header
	Kong, Upstream, Duration float64
	Peers                    []string
}

// Exit ends the exchange with this response, unless it has ended.
func (x *Exchange) Exit(status int, body []byte, contentType string) {
	if x.ended {
		return
	}
	x.ended, x.status, x.body = true, status, body
	if contentType != "" {
		x.SetHeader("Content-Type", contentType)
	}
}

// Message ends the exchange with a JSON document.
func (x *Exchange) Message(status int, body any) {
	text, _ := json.Marshal(body)
	x.Exit(status, text, "application/json; charset=utf-8")
}

// Fail ends the exchange with an error in the form the client accepts.
func (x *Exchange) Fail(status int, message string) {
	body, contentType := ErrorBody(x.Request, message, x.ID)
	x.Exit(status, body, contentType)
}

// Refuse ends the exchange with a plugin's error: JSON unless the client accepts something else.
func (x *Exchange) Refuse(status int, message string) {
	accept := x.Request.Header.Get("Accept")
	if accept == "" {
		accept = "*/*"
	}
	contentType := negotiate(accept)
	x.Exit(status, fmt.Appendf(nil, templates[contentType], message, x.ID), contentType)
}

// Ended tells whether a response was decided on.
func (x *Exchange) Ended() bool { return x.ended }

// Own builds the response of an exchange that ended here.
func (x *Exchange) Own() *http.Response {
	header := http.Header{}
	header.Set("Content-Length", strconv.Itoa(len(x.body)))
	return &http.Response{
		StatusCode: x.status, Header: header, Request: x.Request,
		Body: io.NopCloser(bytes.NewReader(x.body)), ContentLength: int64(len(x.body)),
	}
}

// SetHeader sets a header of the response, in any phase.
func (x *Exchange) SetHeader(name, value string) {
	if x.Response != nil {
		x.Response.Header.Set(name, value)
		return
	}
	if x.Header == nil {
		x.Header = http.Header{}
	}
	x.Header.Set(name, value)
}

// AddLog adds a field to the access log.
func (x *Exchange) AddLog(name string, value any) {
	if x.LogFields == nil {
		x.LogFields = map[string]any{}
	}
	x.LogFields[name] = value
}

// Value and SetValue keep a plugin instance's data between its phases.
func (x *Exchange) Value(key any) any { return x.values[key] }

// SetValue stores data for a later phase; the key is the instance.
func (x *Exchange) SetValue(key, value any) {
	if x.values == nil {
		x.values = map[any]any{}
	}
	x.values[key] = value
}
