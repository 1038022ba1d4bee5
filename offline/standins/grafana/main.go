// Grafana is a stand-in for Grafana, for machines that cannot download the original: it reads the original's settings and
// provisioning files, serves the part of its HTTP API that tools and people of the platform use, and draws the dashboards.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

// version is the release of the original whose interface this is.
const version = "11.4.0"

const usage = `Usage: grafana COMMAND [OPTIONS]

 server                                   Run the server.
 cli admin reset-admin-password PASSWORD  Change the admin's password (--password-from-stdin: read it).
 -v, --version                            Print the version.
`

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout)) }

func run(arguments []string, in io.Reader, out io.Writer) int {
	if len(arguments) == 0 {
		fmt.Fprint(out, usage)
		return 0
	}
	var err error
	switch arguments[0] {
	case "-v", "--version":
		fmt.Fprintf(out, "grafana version %s (stand-in)\n", version)
	case "server":
		err = server(arguments[1:], out)
	case "cli":
		err = cli(arguments[1:], in, out)
	default:
		err = fmt.Errorf("unknown command %q\n%s", arguments[0], usage)
	}
	if err != nil {
		fmt.Fprintln(out, err)
		return 1
	}
	return 0
}

// load reads the settings as both commands do.
func load(name string, arguments []string) (*Settings, []string, error) {
	flags := flag.NewFlagSet(name, flag.ContinueOnError)
	home := flags.String("homepath", "/usr/share/grafana", "the `folder` of the installation")
	config := flags.String("config", environment("GF_PATHS_CONFIG", "/etc/grafana/grafana.ini"), "the configuration `file`")
	flags.String("packaging", "", "accepted without effect")
	if err := flags.Parse(arguments); err != nil {
		return nil, nil, err
	}
	settings, err := loadSettings(*config, *home, os.Environ())
	return settings, flags.Args(), err
}

func environment(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}

func server(arguments []string, out io.Writer) error {
	settings, _, err := load("grafana server", arguments)
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewJSONHandler(out, nil))
	for _, name := range settings.unused() {
		logger.Debug("setting without effect here", "setting", name)
	}
	store, err := openStore(settings)
	if err != nil {
		return err
	}
	provisioned := newProvisioning(settings.text("paths", "provisioning"), logger)
	if err := provisioned.load(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	go provisioned.watch(ctx)
	address := settings.text("server", "http_addr") + ":" + settings.text("server", "http_port")
	site := &http.Server{Addr: address, Handler: newSite(settings, store, provisioned, logger), ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- site.ListenAndServe() }()
	logger.Info("HTTP Server Listen", "address", address, "stand_in", true)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		brief, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		return site.Shutdown(brief)
	}
}

// cli has the one command that the platform needs: a new password works at once, also in a running server.
func cli(arguments []string, in io.Reader, out io.Writer) error {
	settings, rest, err := load("grafana cli", arguments)
	if err != nil {
		return err
	}
	if len(rest) < 3 || rest[0] != "admin" || rest[1] != "reset-admin-password" {
		return errors.New(usage)
	}
	password := rest[2]
	if strings.TrimLeft(password, "-") == "password-from-stdin" {
		text, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		password = strings.TrimRight(string(text), "\r\n")
	}
	store, err := openStore(settings)
	if err != nil {
		return err
	}
	if err := store.setPassword(password); err != nil {
		return err
	}
	fmt.Fprintln(out, "Admin password changed successfully ✔")
	return nil
}
