package main

import (
	"encoding/base64"
	"errors"
	"strings"

	"backline/admin"
	"backline/config"
	"backline/edge"
	"backline/grip"
)

// holds says how the edge holds answers.
func holds(c *config.Config, hub edge.Hub) edge.Holds {
	if !c.Grip {
		return edge.Holds{}
	}
	h := edge.Holds{
		Hub: hub, Most: c.LimitHolds, Channels: c.HoldChannels, Body: int(c.HoldBody), Backlog: c.HoldBacklog,
		Sessions: edge.Sessions{Most: c.HoldSessions, Life: c.HoldSessionLife, Rules: c.HoldSessionRules},
		Filters:  edge.Filters{Requests: c.FilterRequests, Timeout: c.FilterTimeout, Reply: int(c.FilterReply)},
	}
	if keys := gripKeys(c); len(keys) > 0 {
		h.Sign = keys[0].Sign
	}
	return h
}

// gripKeys gives the keys that the settings name. One in base64 says so, as in GRIP's own URLs.
func gripKeys(c *config.Config) []grip.Key {
	keys := make([]grip.Key, 0, len(c.GripKeys))
	for _, pair := range c.GripKeys {
		issuer, text, _ := strings.Cut(pair, "=")
		secret := []byte(text)
		if encoded, is := strings.CutPrefix(text, "base64:"); is {
			if decoded, err := base64.StdEncoding.DecodeString(encoded); err == nil {
				secret = decoded
			}
		}
		keys = append(keys, grip.Key{Issuer: issuer, Secret: secret})
	}
	return keys
}

// checkGripKeys finds a key without an issuer now, and not when nobody is believed.
func checkGripKeys(loaded *config.Loaded) error {
	for _, pair := range loaded.Config.GripKeys {
		if issuer, key, found := strings.Cut(pair, "="); !found || issuer == "" || key == "" {
			return loaded.Mistake("grip_keys", errors.New("a key is no ISSUER=KEY; it is not shown here"))
		}
	}
	return nil
}

// publishing takes publications on the address for operators; nil where nothing can wait for them.
func (s *server) publishing() *admin.Publishing {
	if !s.config.Grip {
		return nil
	}
	return &admin.Publishing{Keys: gripKeys(s.config), Publish: s.pools.channels.publish, Recover: s.edge.Recover}
}

// publish gives items to those who hold answers.
func (c *channels) publish(body []byte) error {
	items, err := grip.ParsePublish(body)
	if err != nil {
		return err
	}
	c.publisher.take(items)
	return nil
}
