package input

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"

	"nexus/standins/logstash/internal/plugin"
)

// maxLine bounds a line; a longer one ends its connection.
const maxLine = 20 << 20

// tcpInput takes an event with each line.
type tcpInput struct {
	address, codec string
	logger         *slog.Logger
	listener       net.Listener
	mutex          sync.Mutex
	open           map[net.Conn]bool
}

func tcp(s *plugin.Settings, logger *slog.Logger) Input {
	s.OneOf("mode", "server", "server")
	return &tcpInput{
		address: endpoint(s, 0), codec: s.Codec("line", "line", "json", "json_lines", "plain"), logger: logger, open: map[net.Conn]bool{},
	}
}

func (t *tcpInput) Listen() (err error) {
	t.listener, err = net.Listen("tcp", t.address)
	return err
}

func (t *tcpInput) Serve(push Push) {
	var clients sync.WaitGroup
	for {
		connection, err := t.listener.Accept()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				t.logger.Error("stopped", "error", err)
			}
			clients.Wait()
			return
		}
		t.mutex.Lock()
		t.open[connection] = true
		t.mutex.Unlock()
		clients.Go(func() { t.lines(connection, push) })
	}
}

func (t *tcpInput) lines(connection net.Conn, push Push) {
	defer func() {
		_ = connection.Close()
		t.mutex.Lock()
		delete(t.open, connection)
		t.mutex.Unlock()
	}()
	sender, _, _ := net.SplitHostPort(connection.RemoteAddr().String())
	scanner := bufio.NewScanner(connection)
	scanner.Buffer(nil, maxLine)
	for scanner.Scan() {
		if len(scanner.Bytes()) == 0 {
			continue
		}
		events := decode(t.codec, scanner.Bytes())
		for _, e := range events {
			if _, there := e.Get("host"); !there {
				e.Set("host", sender)
			}
		}
		if err := push(context.Background(), events); err != nil {
			t.logger.Error("a line was not kept", "error", err)
			return
		}
	}
	if err := scanner.Err(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.logger.Warn("a connection ended", "client", sender, "error", err)
	}
}

func (t *tcpInput) Close() error {
	err := t.listener.Close()
	t.mutex.Lock()
	defer t.mutex.Unlock()
	for connection := range t.open {
		_ = connection.Close()
	}
	return err
}
