package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"
)

// Elastic asks Elasticsearch, its nodes in turn.
type Elastic struct {
	hosts          []string
	user, password string
	client         *http.Client
	next           atomic.Uint32
}

// refusal is an answer of Elasticsearch that is no success.
type refusal struct {
	status int
	body   []byte
}

func (r *refusal) Error() string {
	var said struct {
		Error struct {
			Type, Reason string
			RootCause    []struct{ Reason string } `json:"root_cause"`
		}
	}
	_ = json.Unmarshal(r.body, &said)
	if len(said.Error.RootCause) > 0 {
		return said.Error.RootCause[0].Reason
	}
	return fmt.Sprintf("Elasticsearch answered with status %d", r.status)
}

func notFound(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.status == http.StatusNotFound
}

// send passes a request on and gives the answer back as it is.
func (e *Elastic) send(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	host := e.hosts[int(e.next.Add(1))%len(e.hosts)]
	request, err := http.NewRequestWithContext(ctx, method, host+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if len(body) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	if e.user != "" {
		request.SetBasicAuth(e.user, e.password)
	}
	return e.client.Do(request)
}

// ask sends a value as JSON and reads the answer into another.
func (e *Elastic) ask(ctx context.Context, method, path string, asked, answer any) error {
	var body []byte
	if asked != nil {
		var err error
		if body, err = json.Marshal(asked); err != nil {
			return err
		}
	}
	response, err := e.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode >= 300 {
		return &refusal{response.StatusCode, text}
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(text, answer)
}

// watch keeps the state of Elasticsearch: asked often until it is there, seldom after that.
func (s *Site) watch(ctx context.Context) {
	for {
		brief, cancel := context.WithTimeout(ctx, 5*time.Second)
		state := s.inspect(brief)
		cancel()
		pause := 10 * time.Second
		if state.Level != "available" {
			pause = time.Second
		}
		if before := s.state.Swap(&state); before == nil || before.Level != state.Level {
			s.logger.Info("Elasticsearch is "+state.Level, "summary", state.Summary)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return
		}
	}
}

// State is what is known of Elasticsearch.
type State struct {
	Level, Summary string
	Since          time.Time
}

func (s *Site) inspect(ctx context.Context) State {
	var info struct {
		Version struct{ Number string }
	}
	err := s.elastic.ask(ctx, http.MethodGet, "/", nil, &info)
	switch {
	case err != nil:
		return State{"unavailable", "Unable to connect to Elasticsearch: " + err.Error(), time.Now()}
	case major(info.Version.Number) != major(version):
		return State{"critical", fmt.Sprintf("This version of Kibana requires Elasticsearch v%s. Found v%s", version, info.Version.Number), time.Now()}
	}
	if err := s.objects.prepare(ctx); err != nil {
		return State{"unavailable", "The saved objects' index: " + err.Error(), time.Now()}
	}
	return State{"available", "Elasticsearch is available", time.Now()}
}

// major is the number before the first dot.
func major(version string) string {
	first, _, _ := strings.Cut(version, ".")
	return first
}
