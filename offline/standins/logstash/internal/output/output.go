// Package output has the outputs: each gets a batch of events and returns when they are delivered.
package output

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"nexus/standins/logstash/internal/config"
	"nexus/standins/logstash/internal/event"
	"nexus/standins/logstash/internal/plugin"
)

// Output delivers. It tries again until it succeeds or ctx ends; then it returns an error and the batch stays queued.
type Output interface {
	Deliver(ctx context.Context, batch []*event.Event) error
}

var kinds = map[string]func(*plugin.Settings, *slog.Logger) Output{"elasticsearch": elasticsearch, "stdout": stdout}

// New makes an output of its declaration.
func New(declared *config.Plugin, logger *slog.Logger) (Output, error) {
	kind, known := kinds[declared.Name]
	if !known {
		return nil, fmt.Errorf("line %d: Couldn't find any output plugin named '%s'. Are you sure this is correct?",
			declared.At.Line, declared.Name)
	}
	s := plugin.Read(declared, "output")
	made := kind(s, logger.With("output", declared.Name))
	s.String("id", "")
	s.Bool("enable_metric", true)
	return made, s.Done()
}

type printer struct{}

// stdout prints each event as a line of JSON, whichever codec is asked for.
func stdout(s *plugin.Settings, _ *slog.Logger) Output {
	s.Codec("rubydebug", "rubydebug", "json_lines", "json")
	return printer{}
}

func (printer) Deliver(_ context.Context, batch []*event.Event) error {
	for _, e := range batch {
		document, err := e.Document()
		if err != nil {
			return err
		}
		fmt.Fprintln(os.Stdout, string(document))
	}
	return nil
}
