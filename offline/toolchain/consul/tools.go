//go:build tools

// Package consul pins the server that is compiled from this module.
package consul

import _ "github.com/hashicorp/consul"
