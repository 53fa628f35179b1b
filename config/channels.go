package config

import (
	"fmt"
	"strings"
)

// Answers tells whether clients' requests may be led to the pool: others have raw connections, or messages.
func (p *Pool) Answers() bool { return p.TCP == nil && len(p.Config.Channels) == 0 }

const longestChannel = 99 // as in Django Channels

// checkChannel wants a name as Django Channels has them, or the beginning of one and a star.
func checkChannel(text string) (string, error) {
	const letters, digits = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
	name := strings.TrimSuffix(text, "*")
	if text == "" || len(text) > longestChannel || strings.Trim(name, letters+digits+"-_.") != "" {
		return "", fmt.Errorf("%q is no name of a channel: expected up to %d of a-z, A-Z, 0-9, -, _ and ., such as thumbs, "+
			"or the beginning of one and a star, thumbs.*", text, longestChannel)
	}
	return text, nil
}

// addChannels makes the pool for the channels that no section has.
func (l *Loaded) addChannels(add func(name string, own *Config) *Pool) {
	if len(l.Config.Channels) == 0 {
		return
	}
	own := l.Config
	own.Workers = 1
	add(ChannelsPool, &own)
}

// checkChannels judges the pools that have channels, and gives those that name no application the one for WebSockets,
// or else the server's.
func (l *Loaded) checkChannels() (errs []error) {
	for i := range l.Pools {
		pool := &l.Pools[i]
		c := &pool.Config
		if len(c.Channels) == 0 {
			continue
		}
		if _, named := pool.Origins["app"]; !named && len(c.Command) == 0 {
			c.App, c.Factory = l.Config.App, l.Config.Factory
			if l.Config.WebSocketApp != "" {
				c.App, c.Factory = l.Config.WebSocketApp, false
			}
		}
		if _, chosen := pool.Origins["worker_class"]; !chosen || c.WorkerClass == "auto" {
			c.WorkerClass = "asyncio" // whatever the application for requests is
		}
		if message, hint := pool.unfit(); message != "" {
			place, own := pool.Origins["channels"]
			if !own {
				place = l.Origins["channels"]
			}
			errs = append(errs, usage(place.String(), message, hint))
		}
	}
	return errs
}

// unfit says why the pool cannot have its channels; "" where it can.
func (p *Pool) unfit() (message, hint string) {
	inner, outer := overlap(p.Config.Channels)
	switch {
	case p.TCP != nil || p.Name == WebPool || p.Name == LivePool:
		return fmt.Sprintf("the pool %s answers clients, and so cannot work channels off", p.Name),
			"give the channels a pool of their own, such as [pool.thumbs]"
	case p.Config.WorkerClass != "asyncio":
		return "channels are worked off by an ASGI application, and worker_class is " + p.Config.WorkerClass,
			`write worker_class = "asyncio" in the pool, or leave it out`
	case inner != "":
		return fmt.Sprintf("%s has the channels of %s already", outer, inner), "leave " + inner + " out"
	}
	return "", ""
}

// overlap finds a name that a pattern has already: what is read twice could not be counted.
func overlap(names []string) (inner, outer string) {
	for i, outer := range names {
		prefix, isPattern := strings.CutSuffix(outer, "*")
		for j, inner := range names {
			if i != j && (inner == outer || isPattern && strings.HasPrefix(inner, prefix)) {
				return inner, outer
			}
		}
	}
	return "", ""
}
