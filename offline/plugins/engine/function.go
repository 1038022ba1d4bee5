package engine

import (
	"context"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// Invoke makes a function's read. What it answers has the arguments, the fields and the id.
func (s *server) Invoke(ctx context.Context, req *pulumirpc.InvokeRequest) (*pulumirpc.InvokeResponse, error) {
	function, ok := s.table.Functions[req.GetTok()]
	if !ok {
		return nil, status.Errorf(codes.NotFound, "function %q is not in the %s table; its functions are %s",
			req.GetTok(), s.table.Name, strings.Join(sorted(s.table.Functions), ", "))
	}
	given, err := unmarshal(req.GetArgs())
	if err != nil {
		return nil, err
	}
	check := &checker{}
	inputs := check.object(function.Fields, plain(given), "")
	if len(check.failures) > 0 {
		return &pulumirpc.InvokeResponse{Failures: check.failures}, nil
	}
	if err := s.ready(); err != nil {
		return nil, err
	}
	ctx, done := s.during(ctx)
	defer done()
	row := &Row{Fields: function.Fields, Read: function.Read, Unwrap: function.Unwrap, NotFound: []int{404}}
	asked := &rest{client: s.client, row: row, server: s.table.Provider}
	answered, err := asked.read(ctx, s.scope(row, "", inputs))
	if err != nil {
		return nil, s.failed(req.GetTok(), "asking for", err, s.hidden(row, given))
	}
	out := row.conceal(properties(answered), given)
	for name, value := range properties(inputs) {
		out[name] = value
	}
	out["id"] = resource.NewProperty(show(inputs[function.id()]))
	result, err := s.marshal(out)
	return &pulumirpc.InvokeResponse{Return: result}, err
}

// id is the argument that names what is asked for.
func (f *Function) id() string {
	for _, name := range sorted(f.Fields) {
		if f.Fields[name].Required {
			return name
		}
	}
	return ""
}
