// Package config reads pipelines in Logstash's configuration language.
package config

// Pipeline is a whole configuration: the statements of its three kinds of sections, in order.
type Pipeline struct {
	Input, Filter, Output []Statement
}

// Statement is a plugin or a branch.
type Statement interface{ statement() }

// Plugin is `name { setting => value ... }`. A value is a string, float64, bool, Name, []any, []Pair or *Plugin (a codec).
type Plugin struct {
	Name     string
	Settings []Pair
	At       Position
}

// Pair is `key => value` of a plugin or a hash.
type Pair struct {
	Key   string
	Value any
	At    Position
}

// Name is a value without quotes, such as rubydebug.
type Name string

// Branch is `if ... else if ... else`; the last case's condition may be nil.
type Branch struct{ Cases []Case }

// Case is one arm of a branch.
type Case struct {
	Condition Condition
	Body      []Statement
}

func (*Plugin) statement() {}
func (*Branch) statement() {}

// Condition is a boolean expression.
type Condition interface{ condition() }

// Binary is and, or, xor, nand.
type Binary struct {
	Operator    string
	Left, Right Condition
}

// Not is `!`.
type Not struct{ Of Condition }

// Compare is ==, !=, <, <=, >, >=, in, not in, =~ or !~.
type Compare struct {
	Operator    string
	Left, Right Operand
}

// Truth is a field alone: there, and neither null nor false.
type Truth struct{ Of Operand }

func (Binary) condition()  {}
func (Not) condition()     {}
func (Compare) condition() {}
func (Truth) condition()   {}

// Operand is a Selector, string, float64, Regexp or []Operand.
type Operand any

// Selector refers to a field: `[a][b]`.
type Selector string

// Regexp is `/.../`.
type Regexp string
