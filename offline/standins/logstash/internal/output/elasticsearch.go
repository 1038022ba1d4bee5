package output

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"nexus/standins/logstash/internal/event"
	"nexus/standins/logstash/internal/plugin"
)

// bulk writes batches with the _bulk API.
type bulk struct {
	hosts                    []string
	next                     atomic.Uint32
	index, action, id, route string
	user, password           string
	first, longest           time.Duration
	template                 template
	installed                bool
	client                   *http.Client
	logger                   *slog.Logger
}

// template is an index template to put before the first write.
type template struct {
	name, path, api   string
	manage, overwrite bool
}

func elasticsearch(s *plugin.Settings, logger *slog.Logger) Output {
	o := &bulk{logger: logger}
	for _, host := range s.List("hosts") {
		if !strings.Contains(host, "://") {
			host = "http://" + host
		}
		o.hosts = append(o.hosts, strings.TrimRight(host, "/"))
	}
	if o.hosts == nil {
		o.hosts = []string{"http://127.0.0.1:9200"}
	}
	o.index = s.String("index", "logstash-%{+yyyy.MM.dd}")
	o.action = s.OneOf("action", "index", "index", "create")
	o.id, o.route = s.String("document_id", ""), s.String("routing", "")
	o.user, o.password = s.String("user", ""), s.String("password", "")
	o.first = time.Duration(s.Int("retry_initial_interval", 2)) * time.Second
	o.longest = time.Duration(s.Int("retry_max_interval", 64)) * time.Second
	o.client = &http.Client{Timeout: time.Duration(s.Int("timeout", 60)) * time.Second}
	o.template = template{
		name: s.String("template_name", "logstash"), path: s.String("template", ""), manage: s.Bool("manage_template", true),
		overwrite: s.Bool("template_overwrite", false), api: s.OneOf("template_api", "auto", "auto", "legacy", "composable"),
	}
	s.OneOf("ilm_enabled", "auto", "auto", "false") // this build's Elasticsearch has no index lifecycles
	s.OneOf("ecs_compatibility", "disabled", "disabled")
	s.OneOf("data_stream", "false", "false")
	return o
}

// answer is what is read of a _bulk response.
type answer struct {
	Errors bool                  `json:"errors"`
	Items  []map[string]outcomes `json:"items"`
}

type outcomes struct {
	Status int             `json:"status"`
	Error  json.RawMessage `json:"error"`
}

// Deliver sends, and sends again what was refused for the moment: the whole batch, or the documents that met a 429.
func (o *bulk) Deliver(ctx context.Context, batch []*event.Event) error {
	pause := o.first
	for {
		rest, err := o.send(ctx, batch)
		if err == nil && len(rest) == 0 {
			return nil
		}
		if err != nil {
			o.logger.Warn("Attempted to send a bulk request but it failed, will retry", "error", err, "events", len(batch), "seconds", pause.Seconds())
		} else {
			batch = rest
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
		pause = min(pause*2, o.longest)
	}
}

func (o *bulk) send(ctx context.Context, batch []*event.Event) (rest []*event.Event, err error) {
	if err := o.install(ctx); err != nil {
		return nil, err
	}
	var body bytes.Buffer
	sent := make([]*event.Event, 0, len(batch))
	for _, e := range batch {
		document, err := e.Document()
		if err != nil {
			o.logger.Error("an event cannot be written as JSON and is dropped", "error", err)
			continue
		}
		action, _ := json.Marshal(map[string]any{o.action: o.target(e)})
		body.Write(action)
		body.WriteByte('\n')
		body.Write(document)
		body.WriteByte('\n')
		sent = append(sent, e)
	}
	status, text, err := o.request(ctx, http.MethodPost, "/_bulk", body.Bytes())
	if err != nil {
		return nil, err
	}
	var parsed answer
	if status != http.StatusOK {
		return nil, fmt.Errorf("status %d: %.200s", status, text)
	} else if err := json.Unmarshal(text, &parsed); err != nil {
		return nil, err
	}
	return o.refused(parsed, sent), nil
}

func (o *bulk) target(e *event.Event) map[string]any {
	target := map[string]any{"_index": e.Format(o.index)}
	if o.id != "" {
		target["_id"] = e.Format(o.id)
	}
	if o.route != "" {
		target["routing"] = e.Format(o.route)
	}
	return target
}

// refused: what Elasticsearch had no time for is sent again; what it cannot take (a field of another type) never fits.
func (o *bulk) refused(parsed answer, sent []*event.Event) (rest []*event.Event) {
	if !parsed.Errors {
		return nil
	}
	for i, item := range parsed.Items {
		for _, outcome := range item {
			switch {
			case i >= len(sent) || outcome.Status < 300 || outcome.Status == http.StatusConflict:
			case outcome.Status == http.StatusTooManyRequests || outcome.Status >= 500:
				rest = append(rest, sent[i])
			default:
				o.logger.Warn("Could not index event to Elasticsearch", "status", outcome.Status, "error", string(outcome.Error))
			}
		}
	}
	return rest
}

// install puts the template once, unless there is one of that name that is not to be overwritten.
func (o *bulk) install(ctx context.Context) error {
	if o.installed || !o.template.manage || o.template.path == "" {
		return nil
	}
	api := "/_index_template/"
	if o.template.api == "legacy" {
		api = "/_template/"
	}
	text, err := os.ReadFile(o.template.path)
	if err != nil {
		return err
	}
	if !o.template.overwrite {
		status, _, err := o.request(ctx, http.MethodGet, api+o.template.name, nil)
		if err != nil {
			return err
		}
		o.installed = status == http.StatusOK
	}
	if !o.installed {
		status, body, err := o.request(ctx, http.MethodPut, api+o.template.name, text)
		if err == nil && status != http.StatusOK {
			err = fmt.Errorf("template %s was refused: %.300s", o.template.name, body)
		}
		if err != nil {
			return err
		}
		o.installed = true
	}
	return nil
}

func (o *bulk) request(ctx context.Context, method, path string, body []byte) (int, []byte, error) {
	host := o.hosts[int(o.next.Add(1))%len(o.hosts)]
	request, err := http.NewRequestWithContext(ctx, method, host+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	if path == "/_bulk" {
		request.Header.Set("Content-Type", "application/x-ndjson")
	}
	if o.user != "" {
		request.SetBasicAuth(o.user, o.password)
	}
	response, err := o.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, text, err
}
