// Package admin answers on the address for operators (--admin-bind). It is a handler of edge.Server, so that there is
// one HTTP parser, and asks neither the dispatcher nor a worker for anything: it answers while all of them are busy.
//
//	/-/health/live   200 while the process does its work; otherwise 503, and it should be started anew
//	/-/health/ready  200 while it can serve requests; otherwise 503, and they should go elsewhere
//	/-/health        200 while both are true
//	/-/metrics       counters, in Prometheus's text format
//	/publish/        takes publications for held answers (GRIP)
package admin
