// Package route says which of several pools a request belongs to. It knows pools by number alone, and looks at nothing
// but a request's scope: routes are values, and choosing is a function of them.
package route
