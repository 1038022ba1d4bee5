"""The verbs of `./nexus`: one module each, on small modules that know one thing."""
