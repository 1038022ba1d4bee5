// Command plugins is a Pulumi resource provider for the package it is called as: pulumi-resource-<package>.
package main

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/pulumi/pulumi/sdk/v3/go/pulumi/provider"
	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"nexus/plugins/engine"
)

//go:embed tables/*.yaml
var tables embed.FS

const prefix = "pulumi-resource-"

func main() {
	if err := run(filepath.Base(os.Args[0])); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(called string) error {
	name := strings.TrimSuffix(strings.TrimPrefix(called, prefix), ".exe")
	text, err := tables.ReadFile("tables/" + name + ".yaml")
	if err != nil {
		entries, _ := tables.ReadDir("tables")
		names := []string{}
		for _, entry := range entries {
			names = append(names, prefix+strings.TrimSuffix(entry.Name(), ".yaml"))
		}
		return fmt.Errorf("called as %q: there is no such package; call it as %s", called, strings.Join(names, " or "))
	}
	table, err := engine.Parse(text)
	if err != nil {
		return fmt.Errorf("tables/%s.yaml: %w", name, err)
	}
	if len(os.Args) == 2 && strings.TrimLeft(os.Args[1], "-") == "version" {
		fmt.Println(table.Version)
		return nil
	}
	endWithParent()
	return provider.Main(name, func(*provider.HostClient) (pulumirpc.ResourceProviderServer, error) {
		return engine.New(table), nil
	})
}
