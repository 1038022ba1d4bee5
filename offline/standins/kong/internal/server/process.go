package server

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"nexus/standins/kong/internal/conf"
)

const askFor = 3 * time.Second

func pidFile(prefix string) string { return filepath.Join(prefix, "pids", "nginx.pid") }

// WritePID notes this process under the prefix, where `kong health` looks.
func WritePID(prefix string) error {
	if err := os.MkdirAll(filepath.Dir(pidFile(prefix)), 0o755); err != nil {
		return fmt.Errorf("prefix directory %s cannot be prepared: %w (set KONG_PREFIX to a writable directory)", prefix, err)
	}
	return os.WriteFile(pidFile(prefix), []byte(strconv.Itoa(os.Getpid())+"\n"), 0o644)
}

// reloaded is where a reload leaves what may change for the process that runs: it keeps the environment that it was
// started with. The original writes all of its configuration there.
func reloaded(prefix string) string { return filepath.Join(prefix, ".kong_env") }

// Running is the process at the prefix; an error when there is none.
func Running(prefix string) (int, error) {
	pid := PID(prefix)
	if pid == 0 {
		return 0, fmt.Errorf("Kong is not running in %s", prefix) //nolint:staticcheck // shown as is
	}
	return pid, nil
}

// Reload has the server at the prefix connect to its database with the password of this configuration from now on.
func Reload(config *conf.Config) error {
	pid, err := Running(config.Prefix)
	if err != nil {
		return err
	}
	next := reloaded(config.Prefix) + ".next"
	if err := os.WriteFile(next, []byte(config.PG.Password), 0o600); err != nil {
		return err
	}
	if err := os.Rename(next, reloaded(config.Prefix)); err != nil {
		return err
	}
	return syscall.Kill(pid, syscall.SIGHUP)
}

// RemovePID forgets this process.
func RemovePID(prefix string) { _ = os.Remove(pidFile(prefix)) }

// PID is the process that runs at the prefix; 0 when none does.
func PID(prefix string) int {
	text, err := os.ReadFile(pidFile(prefix))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || syscall.Kill(pid, 0) == syscall.ESRCH {
		return 0
	}
	return pid
}

// Healthy tells whether the server at the prefix runs and answers.
func Healthy(config *conf.Config) error {
	if PID(config.Prefix) == 0 {
		return fmt.Errorf("Kong is not running at %s", config.Prefix) //nolint:staticcheck // shown as is
	}
	for _, listens := range [][]conf.Listen{config.Status, config.Admin} {
		for _, l := range listens {
			if !l.TLS {
				return ask("http://" + local(l.Address) + "/status")
			}
		}
	}
	return nil
}

// local is where a listener can be reached from the same machine.
func local(address string) string {
	host, port, _ := net.SplitHostPort(address)
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}

// ask finds a process that is there but stuck.
func ask(url string) error {
	ctx, cancel := context.WithTimeout(context.Background(), askFor)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("Kong does not answer: %w", err) //nolint:staticcheck // shown as is
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("Kong answers %s", response.Status) //nolint:staticcheck // shown as is
	}
	return nil
}

var levels = map[string]slog.Level{
	"debug": slog.LevelDebug, "info": slog.LevelInfo, "notice": slog.LevelInfo, "warn": slog.LevelWarn,
	"error": slog.LevelError, "crit": slog.LevelError, "alert": slog.LevelError, "emerg": slog.LevelError,
}

// logging sends the error log where the configuration says.
func logging(config *conf.Config) {
	out, err := output(config.ErrorLog)
	if err != nil || out == nil {
		out = os.Stderr
	}
	slog.SetDefault(slog.New(slog.NewJSONHandler(out, &slog.HandlerOptions{Level: levels[config.LogLevel]})))
}

// output opens a log; nil means off.
func output(name string) (io.Writer, error) {
	switch fields := strings.Fields(name); {
	case len(fields) == 0 || fields[0] == "off":
		return nil, nil
	case fields[0] == "/dev/stdout" || strings.HasPrefix(fields[0], "logs/"):
		return os.Stdout, nil
	case fields[0] == "/dev/stderr":
		return os.Stderr, nil
	default:
		return os.OpenFile(fields[0], os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	}
}

// debugWriter takes net/http's remarks about clients.
type debugWriter struct{}

func (debugWriter) Write(b []byte) (int, error) {
	slog.Debug(strings.TrimSpace(string(b)))
	return len(b), nil
}
