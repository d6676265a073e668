package server

import (
	"context"
	"encoding/json"
	"time"
	"unicode/utf8"

	"llama-api-server/internal/http1"
	"llama-api-server/internal/nn"
	"llama-api-server/internal/prompt"
)

// asking is a question about a prompt, which nothing is computed of: metadata that becomes one,
// by the field param, and the output that answers it.
type asking struct {
	document any
	param    string
	output   uint32
}

// told is the host's answer to a question.
func (m *Model) told(ctx context.Context, about asking) ([]byte, error) {
	if !m.able.Prompt {
		return nil, invalid("", "This WASI-NN host does not tell of a prompt's tokens.")
	}
	given, err := json.Marshal(about.document)
	if err != nil {
		return nil, err
	}
	used, err := m.acquire(ctx)
	if err != nil {
		return nil, err
	}
	defer m.release(used)
	m.pace.take()
	defer m.pace.give()
	if err := used.SetInput(nn.Metadata, given); err != nil {
		return nil, m.explain(used, err, fault{param: about.param, bytes: len(given)})
	}
	answer, err := used.Output(about.output)
	if err != nil {
		return nil, m.explain(used, err, fault{param: about.param})
	}
	return answer, nil
}

// tokenize answers llama.cpp's /tokenize: a text as tokens.
func (s *Server) tokenize(w *http1.Response, r *http1.Request) error {
	request := struct {
		Model        string  `json:"model"`
		Content      *string `json:"content"`
		AddSpecial   bool    `json:"add_special"`
		ParseSpecial *bool   `json:"parse_special"`
		WithPieces   bool    `json:"with_pieces"`
	}{}
	if _, err := decode(r, &request); err != nil {
		return err
	}
	model, err := s.model("chat", request.Model)
	if err != nil {
		return err
	}
	if request.Content == nil {
		return invalid("content", "'content' is needed: a string.")
	}
	text, err := model.told(r.Context(), asking{map[string]any{"prompt": map[string]any{
		"parts": []string{*request.Content}, "special": request.AddSpecial,
		"control": request.ParseSpecial == nil || *request.ParseSpecial,
	}}, "content", nn.Tokens})
	if err != nil {
		return err
	}
	var tokens []chance
	if err := json.Unmarshal(text, &tokens); err != nil {
		return internal("the host's tokens cannot be read: %v", err)
	}
	written := []any{}
	for _, token := range tokens {
		if request.WithPieces {
			written = append(written, map[string]any{"id": token.ID, "piece": token.piece()})
		} else {
			written = append(written, token.ID)
		}
	}
	return writeJSON(w, 200, map[string]any{"tokens": written})
}

// piece is the token's text, or the numbers of its bytes if it is none.
func (c *chance) piece() any {
	if text := c.bytes(); utf8.Valid(text) {
		return string(text)
	}
	return c.Bytes
}

// detokenize answers llama.cpp's /detokenize: tokens as a text.
func (s *Server) detokenize(w *http1.Response, r *http1.Request) error {
	request := struct {
		Model  string          `json:"model"`
		Tokens json.RawMessage `json:"tokens"`
	}{}
	if _, err := decode(r, &request); err != nil {
		return err
	}
	model, err := s.model("chat", request.Model)
	if err != nil {
		return err
	}
	tokens, wrong := unmarshalAll[json.RawMessage](request.Tokens)
	wrong = wrong || !isSet(request.Tokens)
	numbers := parts{}
	for _, token := range tokens {
		number, err := wholeNumber(token)
		wrong = wrong || err != nil
		numbers = append(numbers, number)
	}
	if wrong {
		return invalid("tokens", "'tokens' is needed: an array of token numbers.")
	}
	text, err := model.told(r.Context(), asking{map[string]any{"prompt": numbers}, "tokens", nn.Prompt})
	if err != nil {
		return err
	}
	return writeJSON(w, 200, map[string]string{"content": string(text)})
}

// applyTemplate answers llama.cpp's /apply-template: a conversation as the model sees it.
func (s *Server) applyTemplate(w *http1.Response, r *http1.Request) error {
	model, text, err := s.rendered(w, r)
	if err == nil && model.Template.Own {
		var given []byte
		given, err = model.told(r.Context(), asking{json.RawMessage(text), "messages", nn.Prompt})
		text = string(given)
	}
	if err != nil {
		return err
	}
	return writeJSON(w, 200, map[string]string{"prompt": text})
}

// countTokens answers how many tokens a conversation has as the model sees it; nothing is computed.
func (s *Server) countTokens(w *http1.Response, r *http1.Request) error {
	model, text, err := s.rendered(w, r)
	if err != nil {
		return err
	}
	used, err := model.acquire(r.Context())
	if err != nil {
		return err
	}
	defer model.release(used)
	model.pace.take()
	defer model.pace.give()
	tokens, err := model.input(used, "messages", text, model.Template.Own)
	if err != nil {
		return err
	}
	return writeJSON(w, 200, map[string]any{"object": "response.input_tokens", "input_tokens": tokens})
}

// conversation is the request's for the model's template, and what its answer has to be.
func (s *Server) conversation(model *Model, request *chatRequest) (*prompt.Conversation, *bound, error) {
	template := model.Template
	if template == nil {
		return nil, nil, invalid("model", "The model '%s' has no prompt template; use /v1/completions.", model.Name)
	}
	conversation := prompt.Conversation{Now: time.Now()}
	for index := range request.Messages {
		turn, err := request.Messages[index].turn(index, s.Options.Mmproj != "")
		if err != nil {
			return nil, nil, err
		}
		conversation.Messages = append(conversation.Messages, turn)
	}
	tools, choice, err := request.tools(template)
	if err != nil {
		return nil, nil, err
	}
	conversation.Tools = tools
	bound, err := request.bind(template, tools, choice)
	if err != nil {
		return nil, nil, err
	}
	return &conversation, bound, request.templateSettings.give(template, &conversation, s.Options.Reasoning)
}

// rendered is the conversation of a chat request as its model's template writes it.
func (s *Server) rendered(w *http1.Response, r *http1.Request) (*Model, string, error) {
	var request chatRequest
	fields, err := decode(r, &request)
	if err != nil {
		return nil, "", err
	}
	fields.tell(w, forChat)
	model, err := s.model("chat", request.Model)
	if err != nil {
		return nil, "", err
	}
	if err := request.check(fields, model); err != nil {
		return nil, "", err
	}
	conversation, _, err := s.conversation(model, &request)
	if err != nil {
		return nil, "", err
	}
	text, err := model.render(*conversation)
	return model, text, err
}
