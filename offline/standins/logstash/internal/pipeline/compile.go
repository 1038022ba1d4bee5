// Package pipeline runs a configuration: inputs fill the queue, one worker takes batches through filters to outputs.
package pipeline

import (
	"errors"
	"fmt"
	"log/slog"

	"nexus/standins/logstash/internal/config"
	"nexus/standins/logstash/internal/event"
	"nexus/standins/logstash/internal/filter"
	"nexus/standins/logstash/internal/input"
	"nexus/standins/logstash/internal/output"
)

// step does something with an event.
type step func(*event.Event)

// target is an output with the part of the batch that reached it.
type target struct {
	output.Output
	name    string
	pending []*event.Event
}

// program is a compiled configuration.
type program struct {
	inputs  []*input.Made
	filters []step
	routes  []step
	targets []*target
	names   map[string][]string
}

// Check compiles without running: the error is about the configuration alone.
func Check(text string) error {
	_, err := build(text, slog.Default())
	return err
}

func build(text string, logger *slog.Logger) (*program, error) {
	parsed, err := config.Parse(text)
	if err != nil {
		return nil, err
	}
	p := &program{names: map[string][]string{}}
	var errs []error
	for _, statement := range parsed.Input {
		declared, isPlugin := statement.(*config.Plugin)
		if !isPlugin {
			return nil, errors.New("an input section has no conditions")
		}
		made, err := input.New(declared, logger)
		errs = append(errs, err)
		p.inputs = append(p.inputs, made)
	}
	if len(p.inputs) == 0 {
		errs = append(errs, errors.New("the configuration has no input"))
	}
	p.filters, err = compileAll(parsed.Filter, func(declared *config.Plugin) (step, error) {
		p.names["filters"] = append(p.names["filters"], declared.Name)
		made, err := filter.New(declared)
		if err != nil {
			return nil, err
		}
		return made.Apply, nil
	})
	errs = append(errs, err)
	p.routes, err = compileAll(parsed.Output, func(declared *config.Plugin) (step, error) {
		made, err := output.New(declared, logger)
		t := &target{Output: made, name: declared.Name}
		p.targets = append(p.targets, t)
		return func(e *event.Event) { t.pending = append(t.pending, e) }, err
	})
	return p, errors.Join(append(errs, err)...)
}

// compileAll makes steps of plugins and branches, in order.
func compileAll(statements []config.Statement, plugin func(*config.Plugin) (step, error)) ([]step, error) {
	var steps []step
	var errs []error
	for _, statement := range statements {
		var made step
		var err error
		switch s := statement.(type) {
		case *config.Plugin:
			made, err = plugin(s)
		case *config.Branch:
			made, err = branch(s, plugin)
		default:
			err = fmt.Errorf("a statement of an unknown kind: %T", s)
		}
		steps = append(steps, made)
		errs = append(errs, err)
	}
	return steps, errors.Join(errs...)
}

func branch(b *config.Branch, plugin func(*config.Plugin) (step, error)) (step, error) {
	type arm struct {
		when test
		body []step
	}
	var arms []arm
	for _, c := range b.Cases {
		when := test(func(*event.Event) bool { return true })
		if c.Condition != nil {
			var err error
			if when, err = compile(c.Condition); err != nil {
				return nil, err
			}
		}
		body, err := compileAll(c.Body, plugin)
		if err != nil {
			return nil, err
		}
		arms = append(arms, arm{when, body})
	}
	return func(e *event.Event) {
		for _, arm := range arms {
			if arm.when(e) {
				run(arm.body, e)
				return
			}
		}
	}, nil
}

// run stops at a filter that drops the event.
func run(steps []step, e *event.Event) {
	for _, each := range steps {
		if e.Cancelled {
			return
		}
		each(e)
	}
}
