//go:build tools

// Package vault pins the server that is compiled from this module.
package vault

import _ "github.com/hashicorp/vault"
