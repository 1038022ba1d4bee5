package engine

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/emptypb"
)

func (s *server) Check(_ context.Context, req *pulumirpc.CheckRequest) (*pulumirpc.CheckResponse, error) {
	row, _, err := s.at(req.GetUrn())
	if err != nil {
		return nil, err
	}
	given, err := unmarshal(req.GetNews())
	if err != nil {
		return nil, err
	}
	olds, err := unmarshal(req.GetOlds())
	if err != nil {
		return nil, err
	}
	news := plain(given)
	row.autoname(req, plain(olds), news)
	check := &checker{}
	checked := check.object(row.Fields, news, "")
	inputs, err := s.marshal(row.conceal(properties(checked), given))
	return &pulumirpc.CheckResponse{Inputs: inputs, Failures: check.failures}, err
}

func (s *server) Diff(_ context.Context, req *pulumirpc.DiffRequest) (*pulumirpc.DiffResponse, error) {
	row, _, err := s.at(req.GetUrn())
	if err != nil {
		return nil, err
	}
	olds, err := unmarshal(req.GetOlds())
	if err != nil {
		return nil, err
	}
	given, err := unmarshal(req.GetNews())
	if err != nil {
		return nil, err
	}
	state, news := plain(olds), plain(given)
	diff := &differ{}
	diff.row(row, state, news)
	if row.Renew != nil && !zero(news[row.Renew.When]) && !zero(state[row.Renew.Pending]) {
		diff.changes = append(diff.changes, change{row.Renew.Pending, pulumirpc.PropertyDiff_UPDATE, true})
	}
	changes := []change{}
	for _, c := range diff.changes {
		ignored := false
		for _, path := range req.GetIgnoreChanges() {
			ignored = ignored || c.path == path || strings.HasPrefix(c.path, path+".") || strings.HasPrefix(c.path, path+"[")
		}
		if !ignored {
			changes = append(changes, c)
		}
	}
	return row.response(changes, state, news), nil
}

func (s *server) Create(ctx context.Context, req *pulumirpc.CreateRequest) (*pulumirpc.CreateResponse, error) {
	row, style, err := s.at(req.GetUrn())
	if err != nil {
		return nil, err
	}
	given, err := unmarshal(req.GetProperties())
	if err != nil {
		return nil, err
	}
	inputs := plain(given)
	if req.GetPreview() {
		foreseen := row.foreseen(inputs, nil)
		foreseen["id"] = unknown{}
		out, err := s.marshal(row.conceal(properties(foreseen), given))
		return &pulumirpc.CreateResponse{Properties: out}, err
	}
	if err := s.ready(); err != nil {
		return nil, err
	}
	ctx, done := s.during(ctx)
	defer done()
	id, state, err := style.create(ctx, s.scope(row, "", inputs))
	if err != nil {
		return nil, s.fail("creating", req.GetUrn(), err, s.hidden(row, given))
	}
	state["id"] = id
	row.age(state, time.Now())
	out, err := s.marshal(row.conceal(properties(state), given))
	return &pulumirpc.CreateResponse{Id: id, Properties: out}, err
}

func (s *server) Read(ctx context.Context, req *pulumirpc.ReadRequest) (*pulumirpc.ReadResponse, error) {
	row, style, err := s.at(req.GetUrn())
	if err != nil {
		return nil, err
	}
	old, err := unmarshal(req.GetProperties())
	if err != nil {
		return nil, err
	}
	given, err := unmarshal(req.GetInputs())
	if err != nil {
		return nil, err
	}
	if err := s.ready(); err != nil {
		return nil, err
	}
	id, known, imported := req.GetId(), plain(old), len(old) == 0
	for name, value := range plain(given) {
		if known[name] == nil {
			known[name] = value
		}
	}
	if imported && row.Import != "" {
		found, ok := match(row.Import, id)
		if !ok {
			return nil, status.Errorf(codes.InvalidArgument, "the id to import must look like %s, not %q", row.Import, id)
		}
		for name, value := range found {
			known[name] = value
		}
		id = s.scope(row, id, known).text(row.ID, nil)
	}
	ctx, done := s.during(ctx)
	defer done()
	state, err := style.read(ctx, s.scope(row, id, known))
	if errors.Is(err, errGone) {
		return &pulumirpc.ReadResponse{}, nil
	}
	if err != nil {
		return nil, s.fail("reading", req.GetUrn(), err, s.hidden(row, given, old))
	}
	if imported && row.Import != "" {
		id = s.scope(row, id, state).text(row.ID, nil)
	}
	return s.found(row, id, state, given, old)
}

func (s *server) found(row *Row, id string, state values, given, old resource.PropertyMap) (*pulumirpc.ReadResponse, error) {
	inputs := refreshed(row.Fields, plain(given), state)
	state["id"] = id
	row.age(state, time.Now())
	outputs, err := s.marshal(row.conceal(properties(state), old, given))
	if err != nil {
		return nil, err
	}
	shown, err := s.marshal(row.conceal(properties(inputs), given))
	return &pulumirpc.ReadResponse{Id: id, Properties: outputs, Inputs: shown}, err
}

func (s *server) Update(ctx context.Context, req *pulumirpc.UpdateRequest) (*pulumirpc.UpdateResponse, error) {
	row, style, err := s.at(req.GetUrn())
	if err != nil {
		return nil, err
	}
	olds, err := unmarshal(req.GetOlds())
	if err != nil {
		return nil, err
	}
	given, err := unmarshal(req.GetNews())
	if err != nil {
		return nil, err
	}
	inputs, state := plain(given), plain(olds)
	if req.GetPreview() {
		foreseen := row.foreseen(inputs, state)
		foreseen["id"] = req.GetId()
		out, err := s.marshal(row.conceal(properties(foreseen), given))
		return &pulumirpc.UpdateResponse{Properties: out}, err
	}
	if err := s.ready(); err != nil {
		return nil, err
	}
	for name, field := range row.Fields { // what the server chose and the resource is found by
		if inputs[name] == nil && (field.Computed && field.From != "" && field.Replace || row.Once && field.Made != "") {
			inputs[name] = state[name]
		}
	}
	ctx, done := s.during(ctx)
	defer done()
	updated, err := style.update(ctx, s.scope(row, req.GetId(), inputs), state)
	if err != nil {
		return nil, s.fail("updating", req.GetUrn(), err, s.hidden(row, given, olds))
	}
	updated["id"] = req.GetId()
	row.age(updated, time.Now())
	out, err := s.marshal(row.conceal(properties(updated), given))
	return &pulumirpc.UpdateResponse{Properties: out}, err
}

func (s *server) Delete(ctx context.Context, req *pulumirpc.DeleteRequest) (*emptypb.Empty, error) {
	row, style, err := s.at(req.GetUrn())
	if err != nil {
		return nil, err
	}
	old, err := unmarshal(req.GetProperties())
	if err != nil {
		return nil, err
	}
	if err := s.ready(); err != nil {
		return nil, err
	}
	ctx, done := s.during(ctx)
	defer done()
	if err := style.delete(ctx, s.scope(row, req.GetId(), plain(old))); err != nil {
		return nil, s.fail("deleting", req.GetUrn(), err, s.hidden(row, old))
	}
	return &emptypb.Empty{}, nil
}
