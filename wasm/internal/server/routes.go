package server

import (
	"crypto/subtle"
	"slices"
	"strings"

	"llama-api-server/internal/http1"
)

// route is an endpoint: the methods it takes, and what answers them.
type route struct {
	path    string
	methods []string
	handle  func(*Server, *http1.Response, *http1.Request) error
}

var routes = []route{
	{"/v1/models", []string{"GET"}, (*Server).listModels},
	{"/v1/info", []string{"GET"}, (*Server).info},
	{"/v1/chat/completions", []string{"POST"}, (*Server).chat},
	{"/v1/chat/completions/input_tokens", []string{"POST"}, (*Server).countTokens},
	{"/v1/completions", []string{"POST"}, (*Server).completions},
	{"/v1/embeddings", []string{"POST"}, (*Server).embeddings},
	{"/v1/audio/speech", []string{"POST"}, (*Server).speech},
	{"/tokenize", []string{"POST"}, (*Server).tokenize},
	{"/detokenize", []string{"POST"}, (*Server).detokenize},
	{"/apply-template", []string{"POST"}, (*Server).applyTemplate},
	{"/echo", []string{"GET", "POST"}, (*Server).echo},
}

var crossOrigin = []string{
	"Access-Control-Allow-Origin", "Access-Control-Allow-Methods", "Access-Control-Allow-Headers",
}

// allowAll lets pages of every origin read the response.
func allowAll(w *http1.Response) {
	for _, name := range crossOrigin {
		w.Set(name, "*")
	}
}

// Handle answers one request.
func (s *Server) Handle(w *http1.Response, r *http1.Request) {
	allowAll(w)
	s.Log.Log("debug", "%s %s", r.Method, r.Path)
	err := s.dispatch(w, r)
	switch {
	case err == nil:
	case r.Context().Err() != nil:
		s.Log.Log("debug", "%s %s: the client is gone", r.Method, r.Path)
	default:
		s.Log.Log("warn", "%s %s: %v", r.Method, r.Path, err)
		if !w.Begun() {
			writeError(w, err)
		}
	}
}

// refuse answers a request that is not HTTP, or whose answer failed.
func refuse(w *http1.Response, failure *http1.BadRequest) {
	allowAll(w)
	writeError(w, failure)
}

func (s *Server) panicked(r *http1.Request, reason any) {
	s.Log.Log("error", "%s %s: %v", r.Method, r.Path, reason)
}

func (s *Server) dispatch(w *http1.Response, r *http1.Request) error {
	if r.Method == "OPTIONS" {
		return w.Send(204, "", nil)
	}
	if err := s.authorise(r); err != nil {
		w.Set("WWW-Authenticate", "Bearer")
		return err
	}
	found := slices.IndexFunc(routes, func(route route) bool { return route.path == r.Path })
	if found < 0 && s.static(w, r) {
		return nil
	}
	if found < 0 {
		return newError(404, "not_found", "", "There is nothing at %s; the endpoints are %s.", r.Path, strings.Join(paths(), ", "))
	}
	route := routes[found]
	allowed := route.allowed()
	if !slices.Contains(allowed, r.Method) {
		w.Set("Allow", strings.Join(allowed, ", "))
		return newError(405, "method_not_allowed", "", "%s does not take %s; it takes %s.", r.Path, r.Method, strings.Join(allowed, ", "))
	}
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
func (s *Server) authorise(r *http1.Request) error {
	if s.APIKey == "" {
		return nil
	}
	scheme, key, _ := strings.Cut(r.Header["authorization"], " ")
	if strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare([]byte(strings.TrimSpace(key)), []byte(s.APIKey)) == 1 {
		return nil
	}
	failure := newError(401, "invalid_api_key", "", "The API key is missing or wrong; send it as 'Authorization: Bearer <key>'.")
	failure.Type = "authentication_error"
	return failure
}

func (s *Server) echo(w *http1.Response, r *http1.Request) error {
	return w.Send(200, "text/plain; charset=utf-8", []byte("echo test"))
}
