"""The Pulumi program: declare the environment of the current stack."""

from infra.stack import deploy

deploy()
