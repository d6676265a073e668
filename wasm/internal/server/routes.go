package server

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// route is an endpoint: the methods it takes, and what answers them.
type route struct {
	path    string
	methods []string
	handle  func(*Server, http.ResponseWriter, *http.Request) error
}

var routes = []route{
	{"/v1/models", []string{"GET"}, (*Server).listModels},
	{"/v1/chat/completions", []string{"POST"}, (*Server).chat},
	{"/v1/completions", []string{"POST"}, (*Server).completions},
	{"/echo", []string{"GET", "POST"}, (*Server).echo},
}

var crossOrigin = map[string]string{
	"Access-Control-Allow-Origin":  "*",
	"Access-Control-Allow-Methods": "*",
	"Access-Control-Allow-Headers": "*",
}

// Handler answers every request of this server.
func (s *Server) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range crossOrigin {
			w.Header().Set(name, value)
		}
		defer func() {
			if failure := recover(); failure != nil {
				if failure == http.ErrAbortHandler {
					panic(failure)
				}
				s.Log.Log("error", "%s %s: %v", r.Method, r.URL.Path, failure)
				writeError(w, internal("internal error"))
			}
		}()
		if err := s.dispatch(w, r); err != nil && r.Context().Err() == nil {
			s.Log.Log("warn", "%s %s: %v", r.Method, r.URL.Path, err)
			writeError(w, err)
		}
	})
}

func (s *Server) dispatch(w http.ResponseWriter, r *http.Request) error {
	s.Log.Log("debug", "%s %s", r.Method, r.URL.Path)
	found := slices.IndexFunc(routes, func(route route) bool { return route.path == r.URL.Path })
	if r.Method == http.MethodOptions {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err := s.authorise(r); err != nil {
		return err
	}
	if found < 0 {
		return newError(http.StatusNotFound, "invalid_request_error", "not_found", "",
			fmt.Sprintf("There is nothing at %s; the endpoints are %s.", r.URL.Path, strings.Join(paths(), ", ")))
	}
	route := routes[found]
	allowed := route.allowed()
	if !slices.Contains(allowed, r.Method) {
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		return newError(http.StatusMethodNotAllowed, "invalid_request_error", "method_not_allowed", "",
			fmt.Sprintf("%s does not take %s; it takes %s.", r.URL.Path, r.Method, strings.Join(allowed, ", ")))
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	return route.handle(s, w, r)
}

// allowed is the route's methods with the ones that come with them.
func (r route) allowed() []string {
	allowed := slices.Clone(r.methods)
	if slices.Contains(allowed, "GET") {
		allowed = append(allowed, "HEAD")
	}
	return append(allowed, "OPTIONS")
}

func paths() []string {
	var paths []string
	for _, route := range routes {
		paths = append(paths, route.path)
	}
	return paths
}

// authorise checks the request's key where the server has one.
func (s *Server) authorise(r *http.Request) error {
	if s.APIKey == "" {
		return nil
	}
	scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare([]byte(strings.TrimSpace(key)), []byte(s.APIKey)) == 1 {
		return nil
	}
	return newError(http.StatusUnauthorized, "invalid_request_error", "invalid_api_key", "",
		"The API key is missing or wrong; send it as 'Authorization: Bearer <key>'.")
}

func (s *Server) echo(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, err := w.Write([]byte("echo test"))
	return err
}
