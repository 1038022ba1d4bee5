// Prints the package schema for mapping.Provider, without descriptions: those are the upstream provider's texts.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfgen"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag"
	"github.com/pulumi/pulumi/sdk/v3/go/common/diag/colors"

	"nexus/offline/docker/mapping"
)

func main() {
	if len(os.Args) != 2 {
		fail(fmt.Errorf("usage: go run ./schema VERSION > schema.json"))
	}
	sink := diag.DefaultSink(os.Stderr, os.Stderr, diag.FormatOptions{Color: colors.Never})
	spec, err := tfgen.GenerateSchema(mapping.Provider(os.Args[1]), sink)
	if err != nil {
		fail(err)
	}
	raw, err := json.Marshal(spec)
	if err != nil {
		fail(err)
	}
	var document any
	if err := json.Unmarshal(raw, &document); err != nil {
		fail(err)
	}
	strip(document)
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(document); err != nil {
		fail(err)
	}
	os.Stdout.Write(out.Bytes())
}

// strip removes texts; a property may itself be called "description", and then holds an object.
func strip(node any) {
	switch value := node.(type) {
	case map[string]any:
		for _, key := range []string{"attribution", "description", "deprecationMessage"} {
			if _, text := value[key].(string); text {
				delete(value, key)
			}
		}
		delete(value, "language")
		for _, child := range value {
			strip(child)
		}
	case []any:
		for _, child := range value {
			strip(child)
		}
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
