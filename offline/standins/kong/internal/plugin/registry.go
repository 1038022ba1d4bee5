package plugin

// Bundled is the table of all plugins.
func Bundled(shared *Shared) *Registry {
	return NewRegistry([]Definition{
		acl,
		basicAuth,
		correlationID,
		cors,
		fileLog,
		httpLog,
		ipRestriction,
		jwt,
		keyAuth,
		prometheus(shared),
		proxyCache(shared),
		rateLimiting(shared),
		redirect,
		requestSizeLimiting,
		requestTermination,
		requestTransformer,
		responseTransformer,
	})
}
