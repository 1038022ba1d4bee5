package plugin

// Bundled is the table of all plugins.
func Bundled() *Registry {
	return NewRegistry([]Definition{
		correlationID,
		cors,
		requestSizeLimiting,
		requestTermination,
		responseTransformer,
	})
}
