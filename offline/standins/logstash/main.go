// Logstash is a stand-in for Elastic's Logstash, for machines that cannot download the original: it runs pipelines written in
// Logstash's own language, with the plugins that the platform's logs need, and refuses the others as the original refuses
// what it does not know.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"nexus/standins/logstash/internal/pipeline"
	"nexus/standins/logstash/internal/queue"
)

// version is the release of the original whose language and interface this is.
const version = "7.17.29"

// grace is how long events in a queue in memory get to be delivered at the end.
const grace = 5 * time.Second

func main() { os.Exit(start(os.Args[1:], os.Stdout)) }

func start(given []string, out io.Writer) int {
	s, show, err := arguments(given, out)
	if show {
		fmt.Fprintf(out, "logstash %s (stand-in)\n", version)
		return 0
	}
	var level slog.Level
	if err == nil {
		err = level.UnmarshalText([]byte(s["log.level"]))
	}
	if err != nil {
		fmt.Fprintln(out, err)
		return 1
	}
	logger := slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: level}))
	text, err := s.pipelineText()
	if err == nil && s["config.test_and_exit"] == "true" {
		if err = pipeline.Check(text); err == nil {
			fmt.Fprintln(out, "Configuration OK")
			return 0
		}
	}
	if err == nil {
		err = serve(s, text, logger)
	}
	if err != nil {
		logger.Error("Failed to execute action", "pipeline_id", s["pipeline.id"], "message", err.Error())
		return 1
	}
	return 0
}

// serve runs until a signal, or until the pipeline cannot go on.
func serve(s settings, text string, logger *slog.Logger) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := pipeline.Check(text); err != nil {
		return err // before the queue is touched
	}
	q, err := openQueue(s)
	if err != nil {
		return err
	}
	running, err := pipeline.Start(text, q, pipeline.Batch{Size: s.number("pipeline.batch.size"), Delay: s.delay()}, logger)
	if err != nil {
		return errors.Join(err, q.Close())
	}
	var server *http.Server
	if s["http.enabled"] == "true" {
		if server, err = newAPI(s, running).listen(); err != nil {
			return err
		}
		defer server.Close()
	}
	logger.Info("Pipeline started", "pipeline.id", s["pipeline.id"], "stand_in", true)
	select {
	case err = <-running.Done():
	case <-ctx.Done():
		running.Stop(grace)
		err = <-running.Done()
	}
	return errors.Join(err, q.Close())
}

func openQueue(s settings) (queue.Queue, error) {
	if s["queue.type"] == "memory" {
		return queue.Memory(s.number("pipeline.batch.size") * 8), nil
	}
	page, _ := size(s["queue.page_capacity"])
	most, _ := size(s["queue.max_bytes"])
	return queue.Persisted(filepath.Join(s["path.data"], "queue", s["pipeline.id"]), page, most)
}
