package server

import (
	"llama-api-server/internal/options"
	"llama-api-server/internal/prompt"
)

// Banner logs the settings and, last, where the server listens.
func (s *Server) Banner() {
	s.Log.Info("SERVER VERSION: %s", options.Version)
	for _, model := range s.Models {
		s.Log.Info("%s model: %s (alias %s), context %d tokens, batch %d, ubatch %d",
			model.Kind, model.Name, model.Alias, model.CtxSize, model.Batch, model.Ubatch)
		s.Log.Info("%s model runs on llama.cpp %s, requests at a time: %d",
			model.Kind, model.plugin(), cap(model.places))
		if model.Template != nil {
			s.Log.Info("prompt template: %s", written(model.Template))
		}
	}
	if s.APIKey != "" {
		s.Log.Info("an API key is required")
	}
	s.Log.Info("socket address: %s", s.Options.Address())
	s.Log.Info("LlamaEdge HTTP listening on %d", s.Options.Address().Port())
}

func written(template *prompt.Template) string {
	switch {
	case template.InWords:
		return template.Name + " (the model's own; it has no tools, which are told in words)"
	case template.Own:
		return template.Name + " (the model's own)"
	}
	return template.Name
}
