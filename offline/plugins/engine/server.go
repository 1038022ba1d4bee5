package engine

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/structpb"
)

// server answers the provider protocol for one table. Methods it does not have answer "unimplemented".
type server struct {
	pulumirpc.UnimplementedResourceProviderServer
	table   *Table
	secrets bool    // the engine takes secret values
	config  values  // as configured, with defaults
	client  *client // nil until configured, or while the configuration is not known yet

	stop   context.Context // ends when the engine cancels
	cancel context.CancelFunc
	mutex  sync.RWMutex
}

// New is a provider for a table.
func New(table *Table) pulumirpc.ResourceProviderServer {
	stop, cancel := context.WithCancel(context.Background())
	return &server{table: table, stop: stop, cancel: cancel}
}

func (s *server) Handshake(_ context.Context, _ *pulumirpc.ProviderHandshakeRequest) (*pulumirpc.ProviderHandshakeResponse, error) {
	s.secrets = true
	return &pulumirpc.ProviderHandshakeResponse{AcceptSecrets: true, SupportsAutonamingConfiguration: true}, nil
}

func (s *server) GetPluginInfo(context.Context, *emptypb.Empty) (*pulumirpc.PluginInfo, error) {
	return &pulumirpc.PluginInfo{Version: s.table.Version}, nil
}

func (s *server) Attach(context.Context, *pulumirpc.PluginAttach) (*emptypb.Empty, error) {
	return &emptypb.Empty{}, nil
}

func (s *server) Cancel(context.Context, *emptypb.Empty) (*emptypb.Empty, error) {
	s.cancel()
	return &emptypb.Empty{}, nil
}

// configuration checks provider configuration. Values of other types than text may arrive as JSON text.
func (s *server) configuration(in *structpb.Struct) (resource.PropertyMap, values, *checker, error) {
	given, err := unmarshal(in)
	if err != nil {
		return nil, nil, nil, err
	}
	config := plain(given)
	delete(config, "version")
	delete(config, "pluginDownloadURL")
	for name, field := range s.table.Provider.Config {
		if text, ok := config[name].(string); ok && field.kind != "string" {
			config[name] = parsed(field, text)
		}
	}
	check := &checker{}
	checked := check.object(s.table.Provider.Config, config, "")
	return given, checked, check, nil
}

func (s *server) CheckConfig(_ context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	given, checked, check, err := s.configuration(req.GetNews())
	if err != nil || len(check.failures) > 0 {
		return &pulumirpc.CheckResponse{Inputs: req.GetNews(), Failures: check.failures}, err
	}
	out := properties(checked)
	for _, key := range []resource.PropertyKey{"version", "pluginDownloadURL"} {
		if value, ok := given[key]; ok {
			out[key] = value
		}
	}
	annotateMap(out, given)
	for name, field := range s.table.Provider.Config {
		if value, ok := out[resource.PropertyKey(name)]; ok && field.Secret && !value.IsSecret() {
			out[resource.PropertyKey(name)] = resource.MakeSecret(value)
		}
	}
	inputs, err := s.marshal(out)
	return &pulumirpc.CheckResponse{Inputs: inputs}, err
}

// DiffConfig never asks for a replacement: an address that moves does not make other objects of those behind it.
func (s *server) DiffConfig(_ context.Context, req *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	_, old, _, err := s.configuration(req.GetOlds())
	if err != nil {
		return nil, err
	}
	_, new, _, err := s.configuration(req.GetNews())
	if err != nil {
		return nil, err
	}
	row := &Row{Fields: s.table.Provider.Config}
	diff := &differ{}
	diff.row(row, old, new)
	return row.response(diff.changes, old, new), nil
}

func (s *server) Configure(_ context.Context, req *pulumirpc.ConfigureRequest) (*pulumirpc.ConfigureResponse, error) {
	s.secrets = req.GetAcceptSecrets()
	in := req.GetArgs()
	if in == nil { // an engine that sends variables alone: "package:config:key"
		in = &structpb.Struct{Fields: map[string]*structpb.Value{}}
		for name, value := range req.GetVariables() {
			in.Fields[name[strings.LastIndex(name, ":")+1:]] = structpb.NewStringValue(value)
		}
	}
	_, config, check, err := s.configuration(in)
	if err != nil {
		return nil, err
	}
	if len(check.failures) > 0 {
		return nil, status.Error(codes.InvalidArgument, check.failures[0].Reason)
	}
	known := true
	for name, field := range s.table.Provider.Config {
		if _, given := config[name]; !given || field.Default != nil && config[name] == number(field.Default) {
			if value := environment(field); value != nil {
				config[name] = value
			}
		}
		_, later := config[name].(unknown)
		known = known && !later
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.config, s.client = config, nil
	if known {
		if s.client, err = newClient(s.table.Provider, config); err != nil {
			return nil, status.Error(codes.InvalidArgument, err.Error())
		}
	}
	return &pulumirpc.ConfigureResponse{AcceptSecrets: true, SupportsPreview: true, SupportsAutonamingConfiguration: true}, nil
}

func environment(field *Field) any {
	for _, name := range field.Env {
		if text := os.Getenv(name); text != "" {
			return parsed(field, text)
		}
	}
	return nil
}

// at finds the row of a URN and the style that talks to its server.
func (s *server) at(urn string) (*Row, style, error) {
	token := string(resource.URN(urn).Type())
	row, ok := s.table.Resources[token]
	if !ok {
		return nil, nil, status.Errorf(codes.NotFound, "resource type %q is not in the %s table; its types are %s",
			token, s.table.Name, strings.Join(sorted(s.table.Resources), ", "))
	}
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	base := &rest{client: s.client, row: row, server: s.table.Provider}
	if row.Style == "kv-tree" {
		return row, &kvTree{base}, nil
	}
	return row, base, nil
}

// scope is where a row's templates find their values.
func (s *server) scope(row *Row, id string, inputs values) scope {
	return scope{inputs: inputs, id: id, split: row.Split, config: s.config}
}

// ready says whether there is a server to talk to.
func (s *server) ready() error {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	if s.client == nil {
		return status.Errorf(codes.FailedPrecondition, "the %s provider is not configured yet: its configuration is not known", s.table.Name)
	}
	return nil
}

// during gives a context that also ends when the engine cancels.
func (s *server) during(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.stop, cancel)
	return ctx, func() { stop(); cancel() }
}

func (s *server) fail(verb string, urn string, err error, secrets []string) error {
	return s.failed(resource.URN(urn).Name(), verb, err, secrets)
}

func (s *server) failed(name, verb string, err error, secrets []string) error {
	text := err.Error()
	for _, secret := range secrets {
		text = strings.ReplaceAll(text, secret, "[secret]")
	}
	return fmt.Errorf("%s %s: %s", verb, name, text)
}
