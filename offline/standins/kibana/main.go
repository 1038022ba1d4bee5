// Kibana is a stand-in for Elastic's Kibana, for machines that cannot download the original: saved objects and index patterns
// by the original's API, kept in Elasticsearch, and a page that searches logs with Kibana's query language.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// version is the release of the original whose interface this is.
const version = "7.17.29"

func main() { os.Exit(run(os.Args[1:], os.Stdout)) }

func run(arguments []string, out io.Writer) int {
	flags := flag.NewFlagSet("kibana", flag.ContinueOnError)
	flags.SetOutput(out)
	config := flags.String("config", "/usr/share/kibana/config/kibana.yml", "the configuration `file`")
	flags.StringVar(config, "c", *config, "the same")
	show := flags.Bool("version", false, "print the version")
	if err := flags.Parse(arguments); err != nil {
		return 1
	}
	if *show {
		fmt.Fprintf(out, "%s (stand-in)\n", version)
		return 0
	}
	settings, err := loadSettings(*config, os.Environ())
	if err == nil {
		err = serve(settings, slog.New(slog.NewJSONHandler(out, nil)))
	}
	if err != nil {
		fmt.Fprintln(out, "FATAL", err)
		return 1
	}
	return 0
}

func serve(settings *Settings, logger *slog.Logger) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	site := newSite(settings, logger)
	go site.watch(ctx)
	address := net.JoinHostPort(settings.values["server.host"], settings.values["server.port"])
	server := &http.Server{Addr: address, Handler: site.handler(), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	logger.Info("http server running", "address", address, "stand_in", true)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		brief, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return server.Shutdown(brief)
	}
}
