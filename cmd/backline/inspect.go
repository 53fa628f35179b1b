package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"backline"
	"backline/control"
	"backline/dispatch"
)

// This file asks workers what they do, for the commands stacks and profile.

// named gives the workers that a command is about: one by its name or process number, or all.
func (p *pools) named(name string) ([]*dispatch.WorkerConn, error) {
	var all []*dispatch.WorkerConn
	var names []string
	for _, each := range p.all {
		for _, w := range each.dispatcher.Workers() {
			names = append(names, w.Name)
			if name == "" || name == w.Name || name == strconv.Itoa(w.PID) {
				all = append(all, w)
			}
		}
	}
	switch {
	case len(all) > 0:
		return all, nil
	case len(names) == 0:
		return nil, &backline.Error{Message: "no worker is up", Hint: "backline ps shows what they do"}
	}
	return nil, &backline.Error{
		Message: fmt.Sprintf("there is no worker %q", name), Hint: "there is " + strings.Join(names, ", "),
	}
}

// stacks asks for every stack.
func (p *pools) stacks(ctx context.Context, name string) ([]control.Stacks, error) {
	workers, err := p.named(name)
	if err != nil {
		return nil, err
	}
	requests := p.inFlight()
	all := make([]control.Stacks, len(workers))
	atOnce(workers, func(i int, w *dispatch.WorkerConn) {
		answer, err := w.Snapshot(ctx)
		if err == nil {
			err = json.Unmarshal(answer, &all[i])
		}
		all[i].Worker, all[i].PID = w.Name, w.PID
		if err != nil {
			all[i].Error = err.Error()
		}
		for n := range all[i].Stacks {
			stack := &all[i].Stacks[n]
			for _, stream := range stack.Streams {
				if request, found := requests[w.Name][stream]; found {
					stack.Requests = append(stack.Requests, request)
				}
			}
		}
	})
	return all, nil
}

// inFlight gives every request by its worker and stream.
func (p *pools) inFlight() map[string]map[uint32]control.Request {
	all := map[string]map[uint32]control.Request{}
	for _, each := range p.all {
		for _, w := range each.dispatcher.Snapshot(requestsShown).Workers {
			all[w.Name] = map[uint32]control.Request{}
			for _, request := range requests(w.Requests) {
				all[w.Name][request.Stream] = request
			}
		}
	}
	return all
}

// profile samples workers, all at the same time.
func (p *pools) profile(ctx context.Context, name string, how control.Sampling) ([]control.Profile, error) {
	workers, err := p.named(name)
	if err != nil {
		return nil, err
	}
	all := make([]control.Profile, len(workers))
	atOnce(workers, func(i int, w *dispatch.WorkerConn) {
		answer, err := w.Profile(ctx, how.For, how.Rate)
		if err == nil {
			err = json.Unmarshal(answer, &all[i])
		}
		all[i].Worker, all[i].PID = w.Name, w.PID
		if err == nil && all[i].Error == "" {
			err = all[i].Validate()
		}
		if err != nil {
			all[i].Error = err.Error()
		}
	})
	if len(all) == 1 && all[0].Error != "" {
		return nil, &backline.Error{Op: all[0].Worker, Message: all[0].Error}
	}
	return all, nil
}

func atOnce(workers []*dispatch.WorkerConn, f func(int, *dispatch.WorkerConn)) {
	var group sync.WaitGroup
	for i, w := range workers {
		group.Go(func() { f(i, w) })
	}
	group.Wait()
}
