"""The platform's identity: an OAuth2 and OpenID Connect provider (role ``auth`` of the service image)."""
