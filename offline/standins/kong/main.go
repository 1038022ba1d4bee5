// Command kong is a stand-in for Kong Gateway on machines that cannot pull
// the original: the same command line, environment, Admin API and routing.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"syscall"
	"time"

	"nexus/standins/kong/internal/conf"
	"nexus/standins/kong/internal/server"
	"nexus/standins/kong/internal/store"
)

const usage = `Usage: kong COMMAND [OPTIONS]

The available commands are:
 docker-start  Start in the foreground.
 start         The same.
 health        Check that the server of this prefix runs and answers.
 migrations    bootstrap | up | finish | list | status | reset
 quit, stop    Stop the server of this prefix.
 reload        Have the server of this prefix take the database's password anew.
 version       Print the version.

Options:
 -p,--prefix   Override the prefix directory.
`

// exit is an error that has its own exit code.
type exit struct {
	code int
	text string
}

func (e exit) Error() string { return e.text }

func main() {
	err := run(os.Args[1:])
	var e exit
	switch {
	case err == nil:
	case errors.As(err, &e):
		fmt.Fprintln(os.Stderr, e.text)
		os.Exit(e.code)
	default:
		fmt.Fprintln(os.Stderr, "Error: "+err.Error())
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		fmt.Print(usage)
		return nil
	}
	command, rest := args[0], args[1:]
	if command == "version" {
		fmt.Println(conf.Version + " (stand-in)")
		return nil
	}
	config, err := conf.Load(os.Environ())
	if err != nil {
		return err
	}
	if prefix := option(rest, "-p", "--prefix"); prefix != "" {
		config.Prefix = prefix
	}
	switch command {
	case "start", "docker-start":
		return server.Run(config)
	case "prepare", "check":
		return nil
	case "reload":
		return server.Reload(config)
	case "health":
		if err := server.Healthy(config); err != nil {
			return err
		}
		fmt.Printf("Kong is healthy at %s\n", config.Prefix)
		return nil
	case "quit", "stop":
		return stop(config, command)
	case "migrations":
		return migrations(config, rest)
	}
	return exit{1, "unknown command: " + command + "\n\n" + usage}
}

func option(args []string, names ...string) string {
	for i, arg := range args {
		if slices.Contains(names, arg) && i+1 < len(args) {
			return args[i+1]
		}
	}
	return ""
}

func stop(config *conf.Config, command string) error {
	pid, err := server.Running(config.Prefix)
	if err != nil {
		return err
	}
	signal := syscall.SIGQUIT
	if command == "stop" {
		signal = syscall.SIGTERM
	}
	return syscall.Kill(pid, signal)
}

// needsBootstrap is the exit code of `migrations list` on an empty database.
const needsBootstrap = 3

func migrations(config *conf.Config, args []string) error {
	if len(args) == 0 {
		return exit{1, usage}
	}
	if config.Database == "memory" {
		fmt.Println("Database already bootstrapped")
		return nil
	}
	db, err := store.Connect(config.PG.DSN(), config.Roots, config.PG.Timeout)
	if err != nil {
		return err
	}
	defer db.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	version, err := db.Version(ctx)
	if err != nil {
		return fmt.Errorf("[PostgreSQL error] %w", err)
	}
	switch args[0] {
	case "bootstrap":
		if slices.Contains(args, "--force") || slices.Contains(args, "-f") {
			version = 0
			if err := db.Reset(ctx); err != nil {
				return err
			}
		}
		if version > 0 {
			fmt.Println("Database already bootstrapped")
			return nil
		}
		fmt.Println("Bootstrapping database...")
		if err := db.Bootstrap(ctx); err != nil {
			return err
		}
		fmt.Println("Database is up-to-date")
	case "up", "finish":
		if version == 0 {
			return errors.New("Cannot run migrations: " + store.ErrNotBootstrapped.Error()) //nolint:staticcheck // shown as is
		}
		fmt.Println(map[string]string{"up": "Database is already up-to-date", "finish": "No pending migrations to finish"}[args[0]])
	case "list":
		if version == 0 {
			return exit{needsBootstrap, store.ErrNotBootstrapped.Error()}
		}
		fmt.Printf("Executed migrations:\nstand-in: %03d_base\n", version)
	case "status":
		return json.NewEncoder(os.Stdout).Encode(map[string]any{"needs_bootstrap": version == 0, "version": version})
	case "reset":
		return reset(ctx, db, version, args)
	default:
		return exit{1, usage}
	}
	return nil
}

func reset(ctx context.Context, db *store.Postgres, version int, args []string) error {
	if !slices.Contains(args, "--yes") && !slices.Contains(args, "-y") {
		return errors.New("not a tty: invoke 'reset' non-interactively with the --yes flag")
	}
	if version == 0 {
		return exit{1, "Database not bootstrapped, nothing to reset"}
	}
	fmt.Println("Resetting database...")
	if err := db.Reset(ctx); err != nil {
		return err
	}
	fmt.Println("Database successfully reset")
	return nil
}
