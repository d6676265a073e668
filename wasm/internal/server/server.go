// Package server is the HTTP API: OpenAI's endpoints over the models of a wasi-nn host.
package server

import (
	"net/http"
	"time"

	"llama-api-server/internal/options"
)

// Server answers requests with its models.
type Server struct {
	Options *options.Options
	Models  []*Model
	APIKey  string
	Log     *Logger
	Started time.Time

	pace pace
}

// The bounds of a connection.
const (
	headerTimeout = 30 * time.Second
	idleTimeout   = 5 * time.Minute
	maxHeader     = 64 << 10 // bytes
	maxBody       = 64 << 20 // bytes
)

// HTTP is the net/http server for these models; its caller gives it a listener.
func (s *Server) HTTP() *http.Server {
	return &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
	}
}

// model is the model a request names: an empty name is the first of that kind.
func (s *Server) model(kind, name string) (*Model, error) {
	var known []string
	var first *Model
	for _, model := range s.Models {
		known = append(known, model.Name)
		if model.Kind != kind {
			continue
		}
		if model.Name == name {
			return model, nil
		}
		if first == nil {
			first = model
		}
	}
	for _, model := range s.Models {
		if model.Name == name {
			return nil, invalid("model", "The model '%s' is a %s model; this endpoint needs a %s model.", name, model.Kind, kind)
		}
	}
	if name != "" && (name != "default" || first == nil) {
		return nil, modelNotFound(name, known)
	}
	if first == nil {
		return nil, invalid("model", "This server has no %s model.", kind)
	}
	return first, nil
}
