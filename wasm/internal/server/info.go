package server

import (
	"strconv"

	"llama-api-server/internal/http1"
	"llama-api-server/internal/options"
	"llama-api-server/internal/prompt"
)

type serverInfo struct {
	Type      string            `json:"type"`
	Version   string            `json:"version"`
	Plugin    string            `json:"ggml_plugin_version"`
	Port      string            `json:"port"`
	Chat      *modelInfo        `json:"chat_model,omitempty"`
	Embedding *modelInfo        `json:"embedding_model,omitempty"`
	Extras    map[string]string `json:"extras"`
}

type modelInfo struct {
	Name             string  `json:"name"`
	Type             string  `json:"type"`
	CtxSize          int     `json:"ctx_size"`
	BatchSize        int     `json:"batch_size"`
	UbatchSize       int     `json:"ubatch_size"`
	Template         string  `json:"prompt_template"`
	NPredict         int     `json:"n_predict"`
	ReversePrompt    string  `json:"reverse_prompt,omitempty"`
	NGPULayers       int     `json:"n_gpu_layers"`
	UseMmap          *bool   `json:"use_mmap,omitempty"`
	Temperature      float64 `json:"temperature"`
	TopP             float64 `json:"top_p"`
	RepeatPenalty    float64 `json:"repeat_penalty"`
	PresencePenalty  float64 `json:"presence_penalty"`
	FrequencyPenalty float64 `json:"frequency_penalty"`
	SplitMode        string  `json:"split_mode"`
	MainGPU          *int    `json:"main_gpu,omitempty"`
	TensorSplit      string  `json:"tensor_split,omitempty"`
}

func (s *Server) info(w *http1.Response, r *http1.Request) error {
	info := serverInfo{
		Type:    "llama",
		Version: options.Version,
		Plugin:  s.Models[0].plugin(),
		Port:    strconv.Itoa(int(s.Options.Address().Port())),
		Extras:  map[string]string{},
	}
	for _, model := range s.Models {
		if model.Kind == "embedding" {
			info.Embedding = s.modelInfo(model)
		} else {
			info.Chat = s.modelInfo(model)
		}
	}
	return writeJSON(w, 200, info)
}

func (s *Server) modelInfo(model *Model) *modelInfo {
	settings := s.Options
	info := &modelInfo{
		Name: model.Name, Type: model.Kind,
		CtxSize: model.CtxSize, BatchSize: model.Batch, UbatchSize: model.Ubatch,
		Template: prompt.Embedding,
		NPredict: settings.NPredict, ReversePrompt: settings.ReversePrompt,
		NGPULayers:  settings.NGPULayers,
		Temperature: settings.Temp, TopP: settings.TopP, RepeatPenalty: settings.RepeatPenalty,
		PresencePenalty: settings.PresencePenalty, FrequencyPenalty: settings.FrequencyPenalty,
		SplitMode: settings.SplitMode, MainGPU: settings.MainGPU, TensorSplit: settings.TensorSplit,
	}
	if settings.NoMmap != nil {
		mapped := !*settings.NoMmap
		info.UseMmap = &mapped
	}
	if model.Template != nil {
		info.Template = model.Template.Name
	} else if model.Kind == "chat" {
		info.Template = prompt.None
	}
	return info
}
