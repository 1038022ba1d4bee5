package input

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	lumberlog "github.com/elastic/go-lumber/log"
	lumber "github.com/elastic/go-lumber/server/v2"

	"nexus/standins/logstash/internal/event"
	"nexus/standins/logstash/internal/plugin"
)

// beatsInput speaks the protocol of Beats (lumberjack 2); a batch is acknowledged when the queue has it.
type beatsInput struct {
	address  string
	timeout  time.Duration
	tls      *tls.Config
	codecTag bool
	logger   *slog.Logger
	server   *lumber.Server
}

func beats(s *plugin.Settings, logger *slog.Logger) Input {
	b := &beatsInput{address: endpoint(s, 0), logger: logger}
	b.timeout = time.Duration(s.Int("client_inactivity_timeout", 60)) * time.Second
	b.codecTag = s.Bool("include_codec_tag", true)
	certificate, key := s.String("ssl_certificate", ""), s.String("ssl_key", "")
	authorities := s.List("ssl_certificate_authorities")
	verify := s.OneOf("ssl_verify_mode", "none", "none", "peer", "force_peer")
	if s.Bool("ssl", false) {
		b.tls = serverTLS(s, certificate, key, authorities, verify)
	}
	return b
}

func serverTLS(s *plugin.Settings, certificate, key string, authorities []string, verify string) *tls.Config {
	pair, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		s.Fail("ssl_certificate", "cannot be used: %w", err)
	}
	pool := x509.NewCertPool()
	for _, path := range authorities {
		text, err := os.ReadFile(path)
		if err != nil || !pool.AppendCertsFromPEM(text) {
			s.Fail("ssl_certificate_authorities", "has no certificates in %s", path)
		}
	}
	modes := map[string]tls.ClientAuthType{
		"none": tls.NoClientCert, "peer": tls.VerifyClientCertIfGiven, "force_peer": tls.RequireAndVerifyClientCert,
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: pool, ClientAuth: modes[verify], MinVersion: tls.VersionTLS12}
}

func (b *beatsInput) Listen() error {
	listener, err := net.Listen("tcp", b.address)
	if err != nil {
		return err
	}
	if b.tls != nil {
		listener = tls.NewListener(listener, b.tls)
	}
	lumberlog.Logger = quiet{b.logger}
	decoder := func(data []byte, into any) error { return event.Decode(data, into) }
	b.server, err = lumber.NewWithListener(listener, lumber.Timeout(b.timeout), lumber.JSONDecoder(decoder))
	return err
}

func (b *beatsInput) Serve(push Push) {
	for batch := range b.server.ReceiveChan() {
		events := make([]*event.Event, 0, len(batch.Events))
		for _, each := range batch.Events {
			fields, ok := each.(map[string]any)
			if !ok {
				fields = map[string]any{"message": fmt.Sprint(each)}
			}
			e := event.New(fields)
			if b.codecTag {
				e.Tag("beats_input_codec_plain_applied")
			}
			events = append(events, e)
		}
		if err := push(context.Background(), events); err != nil {
			b.logger.Error("a batch was not kept, its sender will send it again", "error", err)
			continue
		}
		batch.ACK()
	}
}

func (b *beatsInput) Close() error { return b.server.Close() }

// quiet keeps what the library says of each connection for those who look for it: it writes to no log of its own.
type quiet struct{ logger *slog.Logger }

func (q quiet) Printf(format string, values ...any) { q.logger.Debug(fmt.Sprintf(format, values...)) }
func (q quiet) Println(values ...any)               { q.logger.Debug(fmt.Sprint(values...)) }
func (q quiet) Print(values ...any)                 { q.logger.Debug(fmt.Sprint(values...)) }
