package server

import "net/http"

type modelObject struct {
	ID      string `json:"id"`
	Created int64  `json:"created"`
	Object  string `json:"object"`
	OwnedBy string `json:"owned_by"`
}

func (s *Server) listModels(w http.ResponseWriter, r *http.Request) error {
	list := []modelObject{}
	for _, model := range s.Models {
		list = append(list, modelObject{model.Name, s.Started.Unix(), "model", "Not specified"})
	}
	writeJSON(w, http.StatusOK, map[string]any{"object": "list", "data": list})
	return nil
}
