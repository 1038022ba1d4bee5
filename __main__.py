"""The Pulumi program: declare the environment of the current stack."""

from pulumi import RunError

from infra.errors import ConfigError
from infra.stack import deploy

try:
    deploy()
except ConfigError as problem:
    raise RunError(str(problem)) from None
