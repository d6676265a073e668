// Package server is the HTTP API: OpenAI's endpoints over the models of a wasi-nn host.
package server

import (
	"time"

	"llama-api-server/internal/http1"
	"llama-api-server/internal/options"
)

// The bounds of a request in bytes.
const (
	maxHeader = 64 << 10
	maxBody   = 64 << 20
)

// Server answers requests with its models.
type Server struct {
	Options *options.Options
	Models  []*Model
	APIKey  string
	Log     *Logger
	Started time.Time
}

// HTTP is the server of connections for these models; its caller gives it a listener.
func (s *Server) HTTP() *http1.Server {
	return &http1.Server{
		Handler: s.Handle, Refuse: refuse, Panicked: s.panicked,
		MaxHeader: maxHeader, MaxBody: maxBody,
	}
}

// model is the model a request names: an empty name, and "default", is the first of that kind.
func (s *Server) model(kind, name string) (*Model, error) {
	var known []string
	var first *Model
	for _, model := range s.Models {
		known = append(known, model.Name)
		if model.Name == name && model.Kind != kind {
			return nil, invalid("model", "The model '%s' is a %s model; this endpoint needs a %s model.", name, model.Kind, kind)
		}
		if model.Name == name {
			return model, nil
		}
		if model.Kind == kind && first == nil {
			first = model
		}
	}
	if name != "" && name != "default" {
		return nil, modelNotFound(name, known)
	}
	if first == nil {
		return nil, invalid("model", "This server has no %s model.", kind)
	}
	return first, nil
}
