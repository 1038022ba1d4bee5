package proxy

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	"nexus/standins/kong/internal/conf"
)

// respond sends a response of the gateway's own.
func (p *Proxy) respond(f *flight) {
	f.Response = f.Own()
	f.Response.Header.Set("Server", conf.ServerHeader)
	f.table.chain.HeaderFilter(&f.Exchange)
	h := f.Response.Header
	h.Set("X-Kong-Response-Latency", milliseconds(time.Since(f.Start)))
	h.Set("X-Kong-Request-Id", f.ID)
	out := f.writer.Header()
	for name, values := range h {
		out[name] = values
	}
	f.writer.WriteHeader(f.Response.StatusCode)
	if f.Request.Method != http.MethodHead {
		_, _ = io.Copy(f.writer, f.Response.Body)
	}
	_ = f.Response.Body.Close()
}

// filter runs on the upstream's response.
func (p *Proxy) filter(response *http.Response) error {
	f := flightOf(response.Request.Context())
	f.Response, f.Proxied = response, true
	if response.StatusCode == http.StatusSwitchingProtocols {
		f.writer.status = response.StatusCode // written to the connection, not through the recorder
	}
	f.table.chain.HeaderFilter(&f.Exchange)
	h := response.Header
	h.Set("X-Kong-Upstream-Latency", milliseconds(f.answered.Sub(f.sent)))
	h.Set("X-Kong-Proxy-Latency", milliseconds(f.sent.Sub(f.Start)))
	h.Set("X-Kong-Request-Id", f.ID)
	via := strconv.Itoa(response.ProtoMajor) + "." + strconv.Itoa(response.ProtoMinor) + " " + conf.ServerHeader
	if before := h.Get("Via"); before != "" {
		via = before + ", " + via
	}
	h.Set("Via", via)
	return nil
}

var (
	errNoPeer = errors.New("failure to get a peer from the ring-balancer")
	errNoName = errors.New("name resolution failed")
)

// failed answers when the upstream did not.
func (p *Proxy) failed(_ http.ResponseWriter, r *http.Request, err error) {
	f := flightOf(r.Context())
	var tooLarge *http.MaxBytesError
	switch {
	case errors.Is(err, errNoPeer), errors.Is(err, errNoName):
		f.Fail(http.StatusServiceUnavailable, err.Error())
	case errors.As(err, &tooLarge):
		f.Fail(http.StatusRequestEntityTooLarge, "Payload too large")
	case r.Context().Err() != nil: // the client went away: nobody reads this
		f.Exit(499, nil, "")
	case isTimeout(err):
		f.Fail(http.StatusGatewayTimeout, "The upstream server is timing out")
	default:
		f.Fail(http.StatusBadGateway, "An invalid response was received from the upstream server")
	}
	f.AddLog("error", err.Error())
	p.respond(f)
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
