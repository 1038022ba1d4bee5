// Package mapping names the Terraform provider's resources and properties as Pulumi's docker package 5.2 does, so that
// a stack made with one plugin is read by the other without a diff.
package mapping

import (
	"context"
	"runtime"

	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge"
	"github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfbridge/tokens"
	shim "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim"
	sdk "github.com/pulumi/pulumi-terraform-bridge/v3/pkg/tfshim/sdk-v2"
	"github.com/terraform-providers/terraform-provider-docker/export"
)

const (
	pkg    = "docker"
	module = "index"
	// A resource without a name in the program is called after its logical name and a random suffix of this form.
	longestName, separator = 255, "-"
)

// resource is what differs from the rules (camel case, plural for lists) for one Terraform resource.
type resource struct {
	name                string            // Pulumi's name, where it is not the Terraform one in camel case
	fields              map[string]string // Terraform property -> Pulumi's, where the rule would make another one
	deleteBeforeReplace bool              // two of them cannot exist side by side
}

var resources = map[string]resource{
	"docker_config": {name: "ServiceConfig"},
	// Naming the property here also keeps it required: an image's name is never made up.
	"docker_image": {name: "RemoteImage", fields: map[string]string{"name": "name"}},
	"docker_container": {
		name:                "Container",
		fields:              map[string]string{"command": "command", "networks_advanced": "networksAdvanced"},
		deleteBeforeReplace: true,
	},
}

var functions = map[string]string{"docker_image": "getRemoteImage"}

// Provider is the whole mapping for a plugin that calls itself by the given version.
func Provider(version string) tfbridge.ProviderInfo {
	info := tfbridge.ProviderInfo{
		P:           sdk.NewProvider(export.New(version)()),
		Name:        pkg,
		Version:     version,
		License:     "Apache-2.0",
		GitHubOrg:   "kreuzwerker",
		Config:      config(),
		Resources:   map[string]*tfbridge.ResourceInfo{},
		DataSources: map[string]*tfbridge.DataSourceInfo{},
	}
	for terraform, r := range resources {
		info.Resources[terraform] = &tfbridge.ResourceInfo{
			Tok:                 tfbridge.MakeResource(pkg, module, r.name),
			Fields:              renamed(r.fields),
			DeleteBeforeReplace: r.deleteBeforeReplace,
		}
	}
	for terraform, name := range functions {
		info.DataSources[terraform] = &tfbridge.DataSourceInfo{Tok: tfbridge.MakeDataSource(pkg, module, name)}
	}
	info.MustComputeTokens(tokens.SingleModule(pkg+"_", module, tokens.MakeStandard(pkg)))
	info.SetAutonaming(longestName, separator)
	for terraform, r := range info.Resources {
		spellOut(info.P.ResourcesMap().Get(terraform).Schema(), r)
	}
	return info
}

// spellOut writes down the name that the rules give to every property. The bridge would work it out, plurals and all,
// for every property of every diff: half of what a preview costs in this plugin. After SetAutonaming, as that leaves
// out what has a name here.
func spellOut(properties shim.SchemaMap, r *tfbridge.ResourceInfo) {
	names := map[string]string{}
	properties.Range(func(terraform string, _ shim.Schema) bool {
		names[terraform] = tfbridge.TerraformToPulumiNameV2(terraform, properties, r.Fields)
		return true
	})
	if r.Fields == nil {
		r.Fields = map[string]*tfbridge.SchemaInfo{}
	}
	for terraform, name := range names {
		if r.Fields[terraform] == nil {
			r.Fields[terraform] = &tfbridge.SchemaInfo{}
		}
		r.Fields[terraform].Name = name
	}
}

func renamed(fields map[string]string) map[string]*tfbridge.SchemaInfo {
	infos := map[string]*tfbridge.SchemaInfo{}
	for terraform, name := range fields {
		infos[terraform] = &tfbridge.SchemaInfo{Name: name}
	}
	return infos
}

func config() map[string]*tfbridge.SchemaInfo {
	return map[string]*tfbridge.SchemaInfo{
		"host":          {Default: &tfbridge.DefaultInfo{EnvVars: []string{"DOCKER_HOST"}, ComputeDefault: defaultHost}},
		"registry_auth": {Name: "registryAuth", MaxItemsOne: tfbridge.False()},
	}
}

func defaultHost(context.Context, tfbridge.ComputeDefaultOptions) (any, error) {
	if runtime.GOOS == "windows" {
		return "npipe:////./pipe/docker_engine", nil
	}
	return "unix:///var/run/docker.sock", nil
}
