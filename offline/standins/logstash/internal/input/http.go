package input

import (
	"context"
	"crypto/subtle"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"nexus/standins/logstash/internal/event"
	"nexus/standins/logstash/internal/plugin"
)

// patience is how long a request waits for room in the queue before it is told to come again (429).
const patience = time.Second

// maxBody bounds a request's body.
const maxBody = 100 << 20

// httpServer takes an event, or a JSON array of events, with each POST or PUT.
type httpServer struct {
	address, codec, user, password string
	status                         int
	logger                         *slog.Logger
	listener                       net.Listener
	server                         *http.Server
}

func httpInput(s *plugin.Settings, logger *slog.Logger) Input {
	return &httpServer{
		address: endpoint(s, 8080), codec: s.Codec("plain", "plain", "json", "json_lines", "line"), user: s.String("user", ""),
		password: s.String("password", ""), status: s.Int("response_code", http.StatusOK), logger: logger,
	}
}

func (h *httpServer) Listen() (err error) {
	h.listener, err = net.Listen("tcp", h.address)
	return err
}

func (h *httpServer) Serve(push Push) {
	h.server = &http.Server{Handler: h.handler(push), ReadHeaderTimeout: 10 * time.Second}
	if err := h.server.Serve(h.listener); !errors.Is(err, http.ErrServerClosed) {
		h.logger.Error("stopped", "error", err)
	}
}

func (h *httpServer) handler(push Push) http.HandlerFunc {
	return func(answer http.ResponseWriter, request *http.Request) {
		user, password, _ := request.BasicAuth()
		if h.user != "" && subtle.ConstantTimeCompare([]byte(user+"\x00"+password), []byte(h.user+"\x00"+h.password)) != 1 {
			answer.Header().Set("WWW-Authenticate", `Basic realm="Logstash"`)
			http.Error(answer, "", http.StatusUnauthorized)
			return
		}
		if request.Method != http.MethodPost && request.Method != http.MethodPut && request.Method != http.MethodGet {
			http.Error(answer, "", http.StatusMethodNotAllowed)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(answer, request.Body, maxBody))
		if err != nil {
			http.Error(answer, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		events := h.events(request, body)
		ctx, cancel := context.WithTimeout(request.Context(), patience)
		defer cancel()
		if err := push(ctx, events); err != nil {
			http.Error(answer, "", http.StatusTooManyRequests)
			return
		}
		answer.Header().Set("Content-Type", "text/plain")
		answer.WriteHeader(h.status)
		_, _ = io.WriteString(answer, "ok")
	}
}

// events: the content type decides before the codec does; each event gets the headers and the sender's address.
func (h *httpServer) events(request *http.Request, body []byte) []*event.Event {
	codec := h.codec
	if strings.HasPrefix(request.Header.Get("Content-Type"), "application/json") {
		codec = "json"
	}
	var events []*event.Event
	if codec == "json_lines" || codec == "line" {
		for line := range strings.Lines(string(body)) {
			if line = strings.TrimRight(line, "\r\n"); line != "" {
				events = append(events, decode(codec, []byte(line))...)
			}
		}
	} else {
		events = decode(codec, body)
	}
	sender, _, _ := net.SplitHostPort(request.RemoteAddr)
	for _, e := range events {
		if _, there := e.Get("host"); !there {
			e.Set("host", sender)
		}
		if _, there := e.Get("headers"); !there {
			e.Set("headers", headers(request))
		}
	}
	return events
}

func headers(request *http.Request) map[string]any {
	named := map[string]any{
		"request_method": request.Method, "request_path": request.URL.RequestURI(), "http_version": request.Proto, "http_host": request.Host,
	}
	for name, values := range request.Header {
		if name != "Authorization" {
			named[strings.ReplaceAll(strings.ToLower(name), "-", "_")] = strings.Join(values, ", ")
		}
	}
	return named
}

func (h *httpServer) Close() error {
	if h.server == nil {
		return h.listener.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return h.server.Shutdown(ctx)
}
