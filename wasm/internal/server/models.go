package server

import "llama-api-server/internal/http1"

type modelObject struct {
	ID      string `json:"id"`
	Created int64  `json:"created"`
	Object  string `json:"object"`
	OwnedBy string `json:"owned_by"`
}

func (s *Server) listModels(w *http1.Response, r *http1.Request) error {
	list := []modelObject{}
	for _, model := range s.Models {
		list = append(list, modelObject{model.Name, s.Started.Unix(), "model", "Not specified"})
	}
	return writeJSON(w, 200, map[string]any{"object": "list", "data": list})
}
