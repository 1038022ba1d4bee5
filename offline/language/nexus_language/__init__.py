"""A Python language host for the Pulumi engine; a package, so that a program's modules may have any name."""
