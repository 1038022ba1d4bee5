# What the stack's own token may do: declare engines, roles, identities and the secrets it generates. It reads none of
# the services' secrets, takes no credentials, decrypts nothing, and cannot change this policy.

path "auth/token/lookup-self" { capabilities = ["read"] }
path "auth/token/renew-self" { capabilities = ["update"] }

# Engines and the AppRole method.
path "sys/mounts" { capabilities = ["read"] }
path "sys/mounts/*" { capabilities = ["create", "read", "update", "delete"] }
path "sys/auth" { capabilities = ["read"] }
path "sys/auth/approle" { capabilities = ["create", "read", "update", "delete", "sudo"] }
path "sys/auth/approle/tune" { capabilities = ["create", "read", "update"] }
path "auth/approle/role/*" { capabilities = ["create", "read", "update", "delete"] }

# Policies by name: its own is not among them.
path "sys/policies/acl/service" { capabilities = ["create", "read", "update", "delete"] }
path "sys/policies/acl/auth" { capabilities = ["create", "read", "update", "delete"] }
path "sys/policies/acl/gateway-agent" { capabilities = ["create", "read", "update", "delete"] }

# Names alone, so that what was added by hand is seen (`./nexus drift`).
path "sys/policies/acl" { capabilities = ["list"] }
path "auth/approle/role" { capabilities = ["list"] }
path "database/roles" { capabilities = ["list"] }
path "rabbitmq/roles" { capabilities = ["list"] }
path "consul/roles" { capabilities = ["list"] }
path "transit/keys" { capabilities = ["list"] }
path "pki/roles" { capabilities = ["list"] }
path "pki_int/roles" { capabilities = ["list"] }

# Secrets are written and removed, never read.
path "secret/config" { capabilities = ["create", "read", "update"] }
path "secret/data/services/*" { capabilities = ["create", "update", "delete"] }
path "secret/data/admin/*" { capabilities = ["create", "update", "delete"] }
path "secret/data/users/*" { capabilities = ["create", "update", "delete"] }
path "secret/data/clients/*" { capabilities = ["create", "update", "delete"] }
path "secret/data/api-keys/*" { capabilities = ["create", "update", "delete"] }
path "secret/metadata/services/*" { capabilities = ["delete"] }
path "secret/metadata/admin/*" { capabilities = ["delete"] }
path "secret/metadata/users/*" { capabilities = ["delete"] }
path "secret/metadata/clients/*" { capabilities = ["delete"] }
path "secret/metadata/api-keys/*" { capabilities = ["delete"] }

# Connections and roles of the engines that make credentials; their `creds/` are not among them.
path "database/config/*" { capabilities = ["create", "read", "update", "delete"] }
path "database/roles/*" { capabilities = ["create", "read", "update", "delete"] }
path "rabbitmq/config/*" { capabilities = ["create", "read", "update", "delete"] }
path "rabbitmq/roles/*" { capabilities = ["create", "read", "update", "delete"] }
path "consul/config/*" { capabilities = ["create", "read", "update", "delete"] }
path "consul/roles/*" { capabilities = ["create", "read", "update", "delete"] }

# What was lent can be taken back, all of an engine or what one service has.
path "sys/leases/revoke-prefix/database/creds*" { capabilities = ["create", "update", "sudo"] }
path "sys/leases/revoke-prefix/rabbitmq/creds*" { capabilities = ["create", "update", "sudo"] }
path "sys/leases/revoke-prefix/consul/creds*" { capabilities = ["create", "update", "sudo"] }

# Keys are made and turned over; nothing is encrypted, decrypted, signed or exported with them.
path "transit/keys/*" { capabilities = ["create", "read", "update", "delete"] }

# The certificate authorities, whose keys stay inside (`internal`), their roles, and the data servers' certificates. The
# gateway's is issued to who uses it.
path "pki/issuers/generate/root/internal" { capabilities = ["create", "update"] }
path "pki/root" { capabilities = ["delete", "sudo"] }
path "pki/root/sign-intermediate" { capabilities = ["create", "update"] }
path "pki/issuer/*" { capabilities = ["create", "read", "update", "delete"] }
path "pki/key/*" { capabilities = ["read", "delete"] }
path "pki/cert/*" { capabilities = ["read"] }
path "pki/config/*" { capabilities = ["create", "read", "update"] }
path "pki_int/issuers/generate/intermediate/internal" { capabilities = ["create", "update"] }
path "pki_int/intermediate/*" { capabilities = ["create", "update"] }
path "pki_int/issuer/*" { capabilities = ["read", "update", "delete"] }
path "pki_int/key/*" { capabilities = ["read", "delete"] }
path "pki_int/cert/*" { capabilities = ["read"] }
path "pki_int/config/*" { capabilities = ["create", "read", "update"] }
path "pki_int/issue/server" { capabilities = ["create", "update"] }
path "pki_int/roles/*" { capabilities = ["create", "read", "update", "delete"] }
