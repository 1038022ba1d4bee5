package plugin

import (
	"bytes"
	"io"
	"net/http"
	"strings"

	"nexus/standins/kong/internal/schema"
)

var sizeUnits = map[string]int64{"megabytes": 1 << 20, "kilobytes": 1 << 10, "bytes": 1}

var requestSizeLimiting = Definition{
	Name: "request-size-limiting", Version: "3.9.1", Priority: 951,
	Config: []schema.Field{
		{Name: "allowed_payload_size", Type: schema.Integer, Default: 128.0},
		{
			Name: "size_unit", Type: schema.String, Required: true, Default: "megabytes",
			OneOf: schema.Strings("megabytes", "kilobytes", "bytes"),
		},
		schema.Flag("require_content_length", false),
	},
	New: func(config map[string]any) any {
		return &sizeLimit{
			bytes:  int64(num(config, "allowed_payload_size")) * sizeUnits[str(config, "size_unit")],
			length: flag(config, "require_content_length"),
		}
	},
}

type sizeLimit struct {
	bytes  int64
	length bool
}

func (p *sizeLimit) Access(x *Exchange) {
	r := x.Request
	if r.ContentLength >= 0 && (r.ContentLength > 0 || r.Header.Get("Content-Length") != "") {
		p.check(x, r.ContentLength)
		return
	}
	chunked := len(r.TransferEncoding) > 0
	if p.length && !chunked {
		x.Refuse(http.StatusLengthRequired, "A valid Content-Length header is required")
		return
	}
	if !chunked {
		return
	}
	// Of unknown length: read up to one byte more than allowed, then replay.
	start, _ := io.ReadAll(io.LimitReader(r.Body, p.bytes+1))
	r.Body = &replay{io.MultiReader(bytes.NewReader(start), r.Body), r.Body}
	p.check(x, int64(len(start)))
}

func (p *sizeLimit) check(x *Exchange, length int64) {
	if length <= p.bytes {
		return
	}
	if strings.EqualFold(strings.TrimSpace(x.Request.Header.Get("Expect")), "100-continue") {
		x.Refuse(http.StatusExpectationFailed, "Request size limit exceeded")
		return
	}
	x.Refuse(http.StatusRequestEntityTooLarge, "Request size limit exceeded")
}

// replay reads what was read already, then the rest.
type replay struct {
	io.Reader
	io.Closer
}
