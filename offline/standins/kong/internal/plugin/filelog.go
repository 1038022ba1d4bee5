package plugin

import (
	"encoding/json"
	"log/slog"
	"os"
	"strings"
	"sync"

	"nexus/standins/kong/internal/schema"
)

var fileLog = Definition{
	Name: "file-log", Version: "3.9.1", Priority: 9,
	Config: []schema.Field{
		{Name: "path", Type: schema.String, Required: true, Check: func(v any) string {
			if strings.ContainsAny(v.(string), "*&%\\`") {
				return "not a valid filename"
			}
			return ""
		}},
		schema.Flag("reopen", false),
	},
	New: func(config map[string]any) any {
		return &lineFile{path: str(config, "path"), reopen: flag(config, "reopen")}
	},
}

type lineFile struct {
	path   string
	reopen bool
	mu     sync.Mutex
	file   *os.File
}

func (p *lineFile) Log(x *Exchange) {
	text, err := json.Marshal(serialize(x))
	if err != nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file != nil && p.reopen {
		_ = p.file.Close()
		p.file = nil
	}
	if p.file == nil {
		if p.file, err = os.OpenFile(p.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644); err != nil {
			slog.Error("failed to open the file", "error", err)
			return
		}
	}
	_, _ = p.file.Write(append(text, '\n'))
}

// Close closes the file.
func (p *lineFile) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.file != nil {
		_ = p.file.Close()
	}
}
