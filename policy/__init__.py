"""The policies that every preview and update is held to: rules as data, exceptions with a date (``docs/policy.md``)."""
