package plugin

import (
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"nexus/standins/kong/internal/schema"
)

var correlationID = Definition{
	Name: "correlation-id", Version: "3.9.1", Priority: 100001,
	Config: []schema.Field{
		{Name: "header_name", Type: schema.String, Default: "Kong-Request-ID"},
		{
			Name: "generator", Type: schema.String, Required: true, Default: "uuid#counter",
			OneOf: schema.Strings("uuid", "uuid#counter", "tracker"),
		},
		schema.Flag("echo_downstream", false),
	},
	New: func(config map[string]any) any {
		return &correlation{
			header: str(config, "header_name"), generator: str(config, "generator"),
			echo: flag(config, "echo_downstream"), prefix: schema.NewUUID(),
		}
	},
}

type correlation struct {
	header, generator string
	echo              bool
	prefix            string
	counter           atomic.Uint64
}

func (p *correlation) Access(x *Exchange) {
	id := x.Request.Header.Get(p.header)
	if id == "" {
		id = p.generate(x)
		x.Request.Header.Set(p.header, id)
	}
	x.AddLog("correlation_id", id)
	x.SetValue(p, id)
}

func (p *correlation) HeaderFilter(x *Exchange) {
	if !p.echo {
		return
	}
	id, _ := x.Value(p).(string)
	if id == "" {
		id = x.Request.Header.Get(p.header)
	}
	if id == "" {
		id = p.generate(x)
	}
	x.SetHeader(p.header, id)
}

func (p *correlation) generate(x *Exchange) string {
	switch p.generator {
	case "uuid":
		return schema.NewUUID()
	case "tracker":
		now := float64(time.Now().UnixMilli()) / 1000
		return fmt.Sprintf("%s-%d-%d-%d-1-%.3f", x.ServerIP, x.Port, os.Getpid(), p.counter.Add(1), now)
	}
	return fmt.Sprintf("%s#%d", p.prefix, p.counter.Add(1))
}
