//go:build tools

// Package actionlint pins the tool that the tests check the workflows with.
package actionlint

import _ "github.com/rhysd/actionlint/cmd/actionlint"
