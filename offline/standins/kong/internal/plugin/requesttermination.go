package plugin

import (
	"encoding/json"
	"io"
	"os"

	"nexus/standins/kong/internal/schema"
)

var terminationTexts = map[int]string{
	401: "Unauthorized", 404: "Not found", 405: "Method not allowed",
	500: "An unexpected error occurred", 502: "Bad Gateway", 503: "Service unavailable",
}

var requestTermination = Definition{
	Name: "request-termination", Version: "3.9.1", Priority: 2,
	Config: []schema.Field{
		{Name: "status_code", Type: schema.Integer, Required: true, Default: 503.0, Between: schema.Between(100, 599)},
		schema.Text("message"), schema.Text("content_type"), schema.Text("body"),
		schema.Flag("echo", false),
		{Name: "trigger", Type: schema.String, Check: schema.CheckHeaderName},
	},
	Valid: checkTermination,
	New: func(config map[string]any) any {
		return &termination{
			status: int(num(config, "status_code")), message: str(config, "message"), body: str(config, "body"),
			contentType: str(config, "content_type"), echo: flag(config, "echo"), trigger: str(config, "trigger"),
		}
	},
}

func checkTermination(v any) string {
	c := v.(map[string]any)
	message, body, kind := str(c, "message") != "", str(c, "body") != "", str(c, "content_type") != ""
	switch {
	case message && (kind || body):
		return "message cannot be used with content_type or body"
	case kind && !body:
		return "content_type requires a body"
	case flag(c, "echo") && (kind || body):
		return "echo cannot be used with content_type and body"
	}
	return ""
}

type termination struct {
	status                              int
	message, body, contentType, trigger string
	echo                                bool
}

func (p *termination) Access(x *Exchange) {
	if p.trigger != "" && x.Request.Header.Get(p.trigger) == "" && !x.Request.URL.Query().Has(p.trigger) {
		return
	}
	message := p.message
	if message == "" {
		message = terminationTexts[p.status]
	}
	switch {
	case p.echo:
		x.Message(p.status, p.mirror(x, message))
	case p.body != "":
		contentType := p.contentType
		if contentType == "" {
			contentType = mimeJSON
		}
		x.Exit(p.status, []byte(p.body), contentType)
	case message != "":
		x.Message(p.status, map[string]any{"message": message})
	default:
		x.Exit(p.status, nil, "")
	}
}

// mirror is a copy of the request for debugging.
func (p *termination) mirror(x *Exchange, message string) map[string]any {
	raw, _ := io.ReadAll(io.LimitReader(x.Request.Body, 1<<20))
	var body any
	_ = json.Unmarshal(raw, &body)
	host, _ := os.Hostname()
	headers := map[string]any{}
	for name, values := range x.Request.Header {
		headers[name] = values[0]
	}
	return map[string]any{
		"message":         message,
		"kong":            map[string]any{"hostname": host, "worker_pid": os.Getpid()},
		"matched_route":   x.Route,
		"matched_service": x.Service,
		"request": map[string]any{
			"scheme": x.Scheme, "host": x.Host, "port": x.Port, "method": x.Request.Method, "path": x.Request.URL.Path,
			"query": x.Request.URL.Query(), "headers": headers, "raw_body": string(raw), "body": body,
		},
	}
}
