// Consul-esm is a stand-in for HashiCorp's consul-esm, for machines that cannot download the original: it runs the HTTP
// and TCP checks of nodes that no Consul agent looks after, pings such nodes, and writes what it finds into Consul's
// catalog. Command line, configuration, environment and what it writes are the original's; one instance does all the
// work, as there is no sharing between instances.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/consul/api"
)

// version is the release of the original whose interface this is.
const version = "0.9.1"

// retry is the pause after Consul did not answer.
const retry = time.Second

func main() {
	os.Exit(run(os.Args[1:], os.Stdout))
}

func run(arguments []string, out io.Writer) int {
	var files, folders list
	flags := flag.NewFlagSet("consul-esm", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Var(&files, "config-file", "a configuration `file` (.hcl or .json); may be given more than once")
	flags.Var(&folders, "config-dir", "a `folder` of configuration files; may be given more than once")
	show := flags.Bool("version", false, "print the version")
	if err := flags.Parse(arguments); err != nil {
		return 1
	}
	if *show {
		fmt.Fprintf(out, "consul-esm v%s (stand-in)\n", version)
		return 0
	}
	config, err := load(files, folders)
	if err != nil {
		fmt.Fprintln(out, err)
		return 1
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, config, config.logger(out)); err != nil {
		fmt.Fprintln(out, err)
		return 1
	}
	return 0
}

// serve does everything until ctx ends, then signs off.
func serve(ctx context.Context, config *Config, logger *slog.Logger) error {
	client, err := api.NewClient(config.client())
	if err != nil {
		return fmt.Errorf("the settings for Consul cannot be used: %w", err)
	}
	if err := awaitLeader(ctx, client, logger); err != nil {
		return nil // asked to stop before Consul was there
	}
	tlsConfig, err := config.checkTLS()
	if err != nil {
		return err
	}
	member := &member{client: client, config: config, logger: logger}
	if err := member.register(); err != nil {
		return err
	}
	monitor := newMonitor(client, config, tlsConfig, logger)
	endpoint, err := listen(config, monitor)
	if err != nil {
		return err
	}
	logger.Info("Consul ESM running!", "service_id", member.id(), "stand_in", true)

	var tasks sync.WaitGroup
	for _, task := range []func(context.Context){member.heartbeat, monitor.watch, monitor.reap, monitor.probeNodes} {
		tasks.Go(func() { task(ctx) })
	}
	<-ctx.Done()
	endpoint()
	tasks.Wait()
	monitor.stop()
	return member.deregister()
}

func awaitLeader(ctx context.Context, client *api.Client, logger *slog.Logger) error {
	for {
		leader, err := client.Status().LeaderWithQueryOptions((&api.QueryOptions{}).WithContext(ctx))
		if err == nil && leader != "" {
			return nil
		}
		if err == nil {
			err = errors.New("no leader yet")
		}
		logger.Info("waiting for Consul", "reason", err)
		if !sleep(ctx, retry) {
			return ctx.Err()
		}
	}
}

// sleep waits and says whether to go on.
func sleep(ctx context.Context, pause time.Duration) bool {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// list is a flag that may be given more than once.
type list []string

func (l *list) String() string { return fmt.Sprint(*l) }

func (l *list) Set(value string) error {
	*l = append(*l, value)
	return nil
}
