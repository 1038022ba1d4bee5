package schema

// Protocols a route, plugin or service may name.
var Protocols = []string{"grpc", "grpcs", "http", "https", "tcp", "tls", "tls_passthrough", "udp", "ws", "wss"}

// HTTPProtocols are those an HTTP plugin applies to.
var HTTPProtocols = []string{"grpc", "grpcs", "http", "https"}

// ID is the primary key.
func ID() Field { return Field{Name: "id", Type: String, UUID: true, Auto: true} }

// CreatedAt is set once.
func CreatedAt() Field { return Field{Name: "created_at", Type: Integer, Timestamp: "s", Auto: true} }

// UpdatedAt is set on every change.
func UpdatedAt() Field { return Field{Name: "updated_at", Type: Integer, Timestamp: "s", Auto: true} }

// Name is a unique name that can stand for the id in a path.
func Name(name string) Field {
	return Field{Name: name, Type: String, Unique: true, Check: CheckName}
}

// Text is a plain string field.
func Text(name string) Field { return Field{Name: name, Type: String} }

// Int is an integer field with a default and bounds.
func Int(name string, def any, lo, hi float64) Field {
	return Field{Name: name, Type: Integer, Default: def, Between: Between(lo, hi)}
}

// Flag is a boolean that always has a value.
func Flag(name string, def bool) Field {
	return Field{Name: name, Type: Boolean, Required: true, Default: def}
}

// Choice is a string with options.
func Choice(name string, def any, options ...string) Field {
	return Field{Name: name, Type: String, Default: def, OneOf: Strings(options...)}
}

// ListOf is an array field.
func ListOf(name string, element Field) Field {
	return Field{Name: name, Type: Array, Elements: &element}
}

// SetOf is an array without duplicates.
func SetOf(name string, element Field) Field {
	return Field{Name: name, Type: Set, Elements: &element}
}

// Tags is the list of labels every entity can carry.
func Tags() Field { return SetOf("tags", Field{Type: String, Required: true, Check: CheckTag}) }

// Ref is a foreign key.
func Ref(name, target string) Field { return Field{Name: name, Type: Foreign, Reference: target} }

// Headers maps header names to lists of values.
func Headers(name string, key Check) Field {
	return Field{
		Name: name, Type: Map,
		Keys:   &Field{Type: String, Check: key},
		Values: &Field{Type: Array, Elements: &Field{Type: String}},
	}
}

// ProtocolSet is a plugin's protocols field.
func ProtocolSet(options []string) Field {
	f := SetOf("protocols", Field{Type: String, OneOf: Strings(options...)})
	f.Required = true
	f.Default = Strings(HTTPProtocols...)
	return f
}
