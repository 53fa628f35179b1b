package main

import (
	"fmt"
	"slices"
	"strings"

	"backline"
	"backline/config"
	"backline/edge"
	"backline/route"
)

// choose gives where a request goes, for the edge. nil: it cannot become the WebSocket that its client asks for.
//
// A route that names no protocol leads WebSockets to its pool only if that can have them: a WSGI application below a
// path does not keep the sockets there from the application that the server has for them.
func (p *pools) choose(scope *backline.Scope, webSocket bool) *edge.Route {
	protocol := route.HTTP
	if webSocket {
		protocol = route.WebSocket
	}
	for at := p.table.Next(scope, protocol, 0); at >= 0; at = p.table.Next(scope, protocol, at+1) {
		each := p.all[p.table.Rules()[at].To]
		switch {
		case !webSocket && p.urgent(scope):
			return &each.urgent
		case !webSocket || each.sockets():
			return &each.plain
		}
	}
	return nil
}

// urgent tells whether somebody asks whether the server is well.
func (p *pools) urgent(scope *backline.Scope) bool {
	if method := string(scope.Method); method != "GET" && method != "HEAD" {
		return false
	}
	for _, path := range p.health {
		if route.Is(scope.Path, path) {
			return true
		}
	}
	return false
}

// direct adds to the edge's options who answers requests. With one pool, no request that is more urgent than
// others, and no WebSockets by POST, there is nothing to choose.
func (p *pools) direct(options *edge.Options) {
	options.RootPath = p.first().config.RootPath
	requests := slices.DeleteFunc(slices.Clone(p.all), func(each *pool) bool { return !each.answers() })
	if len(requests) > 1 || len(p.health) > 0 || p.first().posts() {
		options.Route = p.choose
	}
}

// takesRequests tells whether a pool has more than WebSockets.
func (p *pools) takesRequests(pool int) bool {
	return slices.ContainsFunc(p.table.Rules(), func(r route.Rule) bool {
		return r.To == pool && r.Protocol != route.WebSocket
	})
}

// routesTo describes which requests are a pool's, for people: "/reports, POST /import".
func (p *pools) routesTo(pool int) string {
	var all []string
	for _, r := range p.table.Rules() {
		if r.To == pool {
			all = append(all, r.String())
		}
	}
	return strings.Join(all, ", ")
}

// checkSockets finds WebSockets that are led to a pool which cannot have them. What an application is, its workers
// know: this is for when they are up.
func (p *pools) checkSockets() error {
	for _, r := range p.table.Rules() {
		each := p.all[r.To]
		if r.Protocol != route.WebSocket || each.sockets() {
			continue
		}
		up := each.dispatcher.Serving()
		return &backline.Error{
			Op: "route " + r.String(), Code: backline.CodeUsage,
			Message: fmt.Sprintf("it leads to the pool %s, and %s is a %s application, which has no WebSockets",
				each.name, up.Application, interfaceName(up.Interface)),
			Hint: fmt.Sprintf("name an ASGI application: app = \"mysite.asgi\" in [pool.%s], "+
				"or lead the route to another pool", each.name),
		}
	}
	return nil
}

// nameless is the error for a pool without an application.
func nameless(pool *config.Pool) error {
	return &backline.Error{
		Op: pool.Origin.String(), Code: backline.CodeUsage, Message: "the pool has no application",
		Hint: `name one below it, app = "mysite.wsgi", or one for all pools: backline serve mysite.wsgi`,
	}
}

// newTable makes the table of routes: the file's, WebSockets to the pool of --websocket, and what is left to the pool
// of the application that was named.
func newTable(loaded *config.Loaded, log *journal) (route.Table, error) {
	rules, err := parseRoutes(loaded)
	if err != nil {
		return route.Table{}, err
	}
	leads := func(to int) bool { return slices.ContainsFunc(rules, func(r route.Rule) bool { return r.To == to }) }
	live := poolNamed(loaded, config.LivePool)
	if loaded.Config.WebSocketApp != "" && !leads(live) {
		rules = append(rules, route.Rule{Protocol: route.WebSocket, To: live})
	}
	if !slices.ContainsFunc(rules, route.Rule.Any) {
		if loaded.Pools[0].TCP != nil {
			return route.Table{}, tcpAlone()
		}
		if loaded.Pools[0].Name != config.WebPool {
			return route.Table{}, &backline.Error{
				Op: "routes", Code: backline.CodeUsage, Message: "nobody answers the requests that fit no route",
				Hint: `name an application for them, backline serve mysite.wsgi, or lead them somewhere: a [[route]] of path = "/"`,
			}
		}
		rules = append(rules, route.Rule{To: 0})
	}
	for i, each := range loaded.Pools {
		if !leads(i) && each.Answers() {
			log.Warn("no route leads to a pool: its workers have nothing to do", "pool", each.Name,
				"hint", fmt.Sprintf("add a [[route]] with pool = %q, or take the pool out", each.Name))
		}
	}
	return route.NewTable(rules), nil
}

// parseRoutes reads the file's routes. One that names several values stands for as many rules.
func parseRoutes(loaded *config.Loaded) ([]route.Rule, error) {
	var rules []route.Rule
	for i := range loaded.Routes {
		each := &loaded.Routes[i]
		to := poolNamed(loaded, each.Pool)
		if to < 0 {
			return nil, unknownPool(loaded, each)
		}
		if err := checkRoute(each, &loaded.Pools[to]); err != nil {
			return nil, err
		}
		more, err := expand(each, to)
		if err != nil {
			return nil, err
		}
		for _, r := range more {
			if slices.ContainsFunc(rules, r.Same) {
				return nil, &backline.Error{
					Op: each.Origin.String(), Code: backline.CodeUsage,
					Message: fmt.Sprintf("another route has the same requests: %s", r),
					Hint:    "leave one of them out, or have one say more: path, host, protocol, method",
				}
			}
			rules = append(rules, r)
		}
	}
	return rules, nil
}

// expand gives the rules that one route stands for.
func expand(r *config.Route, to int) ([]route.Rule, error) {
	all := []route.Rule{{To: to}}
	for _, condition := range []struct {
		key   string
		texts []string
		parse func(string) (string, error)
		field func(*route.Rule) *string
	}{
		{"host", r.Host, route.ParseHost, func(r *route.Rule) *string { return &r.Host }},
		{"path", r.Path, route.ParsePath, func(r *route.Rule) *string { return &r.Path }},
		{"protocol", r.Protocol, route.ParseProtocol, func(r *route.Rule) *string { return &r.Protocol }},
		{"method", r.Method, route.ParseMethod, func(r *route.Rule) *string { return &r.Method }},
	} {
		var more []route.Rule
		for _, text := range condition.texts {
			value, err := condition.parse(text)
			if err != nil {
				return nil, r.Mistake(condition.key, err)
			}
			for _, rule := range all {
				*condition.field(&rule) = value
				more = append(more, rule)
			}
		}
		if len(condition.texts) > 0 {
			all = more
		}
	}
	return all, nil
}

func poolNamed(loaded *config.Loaded, name string) int {
	return slices.IndexFunc(loaded.Pools, func(p config.Pool) bool { return p.Name == name })
}

func unknownPool(loaded *config.Loaded, r *config.Route) error {
	names := make([]string, 0, len(loaded.Pools))
	for _, each := range loaded.Pools {
		names = append(names, each.Name)
	}
	hint := config.DidYouMean(r.Pool, names)
	if hint == "" {
		hint = fmt.Sprintf("there are %s; another one is made by [pool.%s]", strings.Join(names, ", "), r.Pool)
	}
	return &backline.Error{
		Op: r.Origin.String(), Code: backline.CodeUsage, Message: fmt.Sprintf("there is no pool %q", r.Pool), Hint: hint,
	}
}
