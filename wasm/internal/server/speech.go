package server

import (
	"llama-api-server/internal/http1"
	"llama-api-server/internal/nn"
)

type speechRequest struct {
	Model string `json:"model"`
	Input string `json:"input"`
}

// spokenBy is how OuteTTS's models are sampled, whatever the server's options say of texts.
var spokenBy = map[string]any{"tts": true, "temp": 0.4, "repeat-penalty": 1.1, "grammar": "", "ignore-eos": false}

// speech answers with a text that the model has read out, as a WAV file. The voice is the model's
// one voice.
func (s *Server) speech(w *http1.Response, r *http1.Request) error {
	var request speechRequest
	if _, err := decode(r, &request); err != nil {
		return err
	}
	model, err := s.model("chat", request.Model)
	if err != nil {
		return err
	}
	switch {
	case request.Input == "":
		return invalid("input", "There is no 'input' to read out.")
	case s.Options.Vocoder == "":
		return invalid("model", "This model does not speak: the server was started without --model-vocoder.")
	case !model.able.Speech:
		return invalid("model", "This host makes no speech token by token; WasmEdge's examples of tts do without a server.")
	}
	var file []byte
	work := generation{prompt: request.Input, param: "input", changes: spokenBy, limit: -1, speech: &file}
	made, err := model.generate(r.Context(), work, func(piece) error { return nil })
	if err != nil {
		return err
	}
	if made.finish == finishLength {
		return invalid("input", "The speech does not fit into the model's context; send a shorter text.")
	}
	return w.Send(200, "audio/wav", file)
}

// hear takes what was made as a WAV file. It is a turn of its own: the vocoder takes its time.
func (m *Model) hear(used nn.Context, made *writing) error {
	m.pace.take()
	defer m.pace.give()
	file, err := used.Output(nn.Speech)
	if err != nil {
		return m.explain(used, err, made.fault(&made.result))
	}
	*made.speech = file
	return nil
}
