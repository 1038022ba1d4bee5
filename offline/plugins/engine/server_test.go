package engine

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	"github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"google.golang.org/protobuf/types/known/structpb"
)

const urn = "urn:pulumi:s::p::demo:index/thing:Thing::one"

// things is a server for the table's one type.
type things struct {
	kept   map[string]values
	refuse string       // answered with 400 to every create
	later  atomic.Int32 // this many requests are answered 503 first
}

func (s *things) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.later.Add(-1) >= 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	id := strings.TrimPrefix(r.URL.Path, "/things/")
	body := values{}
	_ = json.NewDecoder(r.Body).Decode(&body)
	switch {
	case s.refuse != "" && r.Method == http.MethodPost:
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(s.refuse))
		return
	case r.Method == http.MethodPost:
		id = "t1"
		s.kept[id] = values{"id": id, "chosen": "by the server"}
	case s.kept[id] == nil:
		w.WriteHeader(http.StatusNotFound)
		return
	case r.Method == http.MethodDelete:
		delete(s.kept, id)
		return
	}
	for name, value := range body {
		s.kept[id][name] = value
	}
	_ = json.NewEncoder(w).Encode(s.kept[id])
}

func pb(t *testing.T, in resource.PropertyMap) *structpb.Struct {
	t.Helper()
	out, err := plugin.MarshalProperties(in, plugin.MarshalOptions{KeepSecrets: true, KeepUnknowns: true})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func setUp(t *testing.T) (*things, pulumirpc.ResourceProviderServer) {
	t.Helper()
	parsed, err := Parse([]byte(table))
	if err != nil {
		t.Fatal(err)
	}
	behind := &things{kept: map[string]values{}}
	web := httptest.NewServer(behind)
	t.Cleanup(web.Close)
	provider := New(parsed)
	configure(t, provider, resource.NewProperty(web.URL))
	return behind, provider
}

func configure(t *testing.T, provider pulumirpc.ResourceProviderServer, address resource.PropertyValue) {
	t.Helper()
	_, err := provider.Configure(context.Background(), &pulumirpc.ConfigureRequest{
		Args: pb(t, resource.PropertyMap{"address": address}), AcceptSecrets: true,
	})
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, provider pulumirpc.ResourceProviderServer, in resource.PropertyMap, preview bool) (*pulumirpc.CreateResponse, resource.PropertyMap, error) {
	t.Helper()
	checked, err := provider.Check(context.Background(), &pulumirpc.CheckRequest{Urn: urn, News: pb(t, in)})
	if err != nil || len(checked.Failures) > 0 {
		t.Fatal(err, checked.GetFailures())
	}
	made, err := provider.Create(context.Background(), &pulumirpc.CreateRequest{Urn: urn, Properties: checked.Inputs, Preview: preview})
	if err != nil {
		return nil, nil, err
	}
	out, err := unmarshal(made.Properties)
	return made, out, err
}

func TestARowIsAllThatATypeNeeds(t *testing.T) {
	behind, provider := setUp(t)
	ctx := context.Background()
	made, state, err := create(t, provider, resource.PropertyMap{"name": resource.NewProperty("a")}, false)
	if err != nil || made.Id != "t1" || state["chosen"].StringValue() != "by the server" || state["size"].NumberValue() != 5 {
		t.Fatal(err, made, state)
	}
	behind.kept["t1"]["size"] = 9.0
	read, err := provider.Read(ctx, &pulumirpc.ReadRequest{
		Urn: urn, Id: "t1", Properties: made.Properties, Inputs: pb(t, resource.PropertyMap{"name": resource.NewProperty("a")}),
	})
	if err != nil || read.Inputs.Fields["size"].GetNumberValue() != 9 {
		t.Fatal(err, read)
	}
	_, err = provider.Update(ctx, &pulumirpc.UpdateRequest{
		Urn: urn, Id: "t1", Olds: read.Properties, News: pb(t, resource.PropertyMap{"name": resource.NewProperty("b")}),
	})
	if err != nil || behind.kept["t1"]["name"] != "b" || behind.kept["t1"]["size"] != nil {
		t.Fatal(err, behind.kept)
	}
	for range 2 {
		if _, err := provider.Delete(ctx, &pulumirpc.DeleteRequest{Urn: urn, Id: "t1", Properties: read.Properties}); err != nil {
			t.Fatal(err)
		}
	}
	_, err = provider.Update(ctx, &pulumirpc.UpdateRequest{Urn: urn, Id: "t1", Olds: read.Properties, News: read.Inputs})
	if err == nil || !strings.Contains(err.Error(), "refresh") {
		t.Errorf("updating what is gone: %v", err)
	}
}

func TestSecretsStaySecretAndOutOfErrors(t *testing.T) {
	behind, provider := setUp(t)
	in := resource.PropertyMap{
		"name":   resource.NewProperty("a"),
		"token":  resource.NewProperty("hush-one"), // secret by the table
		"labels": resource.NewProperty(resource.PropertyMap{"k": resource.MakeSecret(resource.NewProperty("hush-two"))}),
	}
	_, state, err := create(t, provider, in, false)
	if err != nil || !state["token"].IsSecret() || !state["labels"].ObjectValue()["k"].IsSecret() {
		t.Fatal(err, state)
	}
	behind.refuse = `{"message":"no hush-one and no hush-two here"}`
	_, _, err = create(t, provider, in, false)
	if err == nil || strings.Contains(err.Error(), "hush") || !strings.Contains(err.Error(), "no [secret] and") {
		t.Errorf("got %v", err)
	}
}

func TestAServerThatStartsLateIsWaitedFor(t *testing.T) {
	behind, provider := setUp(t)
	behind.later.Store(2)
	if _, _, err := create(t, provider, resource.PropertyMap{"name": resource.NewProperty("a")}, false); err != nil {
		t.Error(err)
	}
}

func TestAnUnknownConfigurationAllowsAPreviewOnly(t *testing.T) {
	_, provider := setUp(t)
	configure(t, provider, resource.MakeComputed(resource.NewProperty("")))
	in := resource.PropertyMap{"name": resource.NewProperty("a")}
	_, foreseen, err := create(t, provider, in, true)
	if err != nil || !foreseen["chosen"].IsComputed() || !foreseen["id"].IsComputed() {
		t.Error(err, foreseen)
	}
	if _, _, err := create(t, provider, in, false); err == nil || !strings.Contains(err.Error(), "not known") {
		t.Errorf("got %v", err)
	}
}

func TestProviderConfigurationIsCheckedLikeAResource(t *testing.T) {
	_, provider := setUp(t)
	for text, want := range map[string]string{"adress": `did you mean "address"`, "limit": "must be an integer"} {
		news := resource.PropertyMap{"address": resource.NewProperty("x"), resource.PropertyKey(text): resource.NewProperty("y")}
		got, err := provider.CheckConfig(context.Background(), &pulumirpc.CheckRequest{News: pb(t, news)})
		if err != nil || len(got.Failures) != 1 || !strings.Contains(got.Failures[0].Reason, want) {
			t.Error(err, got)
		}
	}
}

func TestATypeThatTheTableLacksIsNamed(t *testing.T) {
	_, provider := setUp(t)
	_, err := provider.Check(context.Background(), &pulumirpc.CheckRequest{Urn: "urn:pulumi:s::p::demo:index/other:Other::x"})
	if err == nil || !strings.Contains(err.Error(), "demo:index/other:Other") || !strings.Contains(err.Error(), "Thing") {
		t.Errorf("got %v", err)
	}
}

func TestTheSchemaListsTheTypes(t *testing.T) {
	_, provider := setUp(t)
	got, err := provider.GetSchema(context.Background(), &pulumirpc.GetSchemaRequest{})
	var schema struct {
		Resources map[string]struct {
			InputProperties map[string]values
			RequiredInputs  []string
		}
	}
	if err != nil || json.Unmarshal([]byte(got.Schema), &schema) != nil {
		t.Fatal(err, got)
	}
	thing := schema.Resources["demo:index/thing:Thing"]
	if thing.InputProperties["kind"]["replaceOnChanges"] != true || thing.RequiredInputs[0] != "name" {
		t.Errorf("got %v", thing)
	}
}
