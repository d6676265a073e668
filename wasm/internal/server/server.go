// Package server is the HTTP API: OpenAI's endpoints over the models of a wasi-nn host.
package server

import (
	"slices"
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

// model is the model for a request that names one. Clients send the names of other services'
// models, so a name that is not known means the first model of that kind, as no name and
// "default" do, unless the server is strict.
func (s *Server) model(kind, name string) (*Model, error) {
	var known []string
	var first *Model
	for index, model := range s.Models {
		known = append(known, model.Name)
		called := model.Name == name || index == 0 && slices.Contains(s.Options.OtherNames, name)
		if called && model.Kind != kind {
			return nil, invalid("model", "The model '%s' is %s model; this endpoint needs %s model.", name, articled[model.Kind], articled[kind])
		}
		if called {
			return model, nil
		}
		if model.Kind == kind && first == nil {
			first = model
		}
	}
	if s.Options.StrictModel && name != "" && name != "default" {
		return nil, modelNotFound(name, known)
	}
	if first == nil {
		return nil, invalid("model", "This server has no %s model.", kind)
	}
	return first, nil
}

var articled = map[string]string{"chat": "a chat", "embedding": "an embedding"}
