package server

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"math"

	"llama-api-server/internal/http1"
	"llama-api-server/internal/nn"
)

type embeddingsRequest struct {
	Model          string          `json:"model"`
	Input          json.RawMessage `json:"input"`
	EncodingFormat string          `json:"encoding_format"`
	Dimensions     *int            `json:"dimensions"`
	Truncate       bool            `json:"truncate"`
}

type embeddingsResponse struct {
	Object string            `json:"object"`
	Data   []embeddingObject `json:"data"`
	Model  string            `json:"model"`
	Usage  usage             `json:"usage"`
}

type embeddingObject struct {
	Index     int    `json:"index"`
	Object    string `json:"object"`
	Embedding any    `json:"embedding"`
}

func (s *Server) embeddings(w *http1.Response, r *http1.Request) error {
	var request embeddingsRequest
	fields, err := decode(r, &request)
	if err != nil {
		return err
	}
	fields.tell(w, forEmbeddings)
	model, err := s.model("embedding", request.Model)
	if err != nil {
		return err
	}
	inputs, err := request.inputs()
	if err != nil {
		return err
	}
	if format := request.EncodingFormat; format != "" && format != "float" && format != "base64" {
		return invalid("encoding_format", "'encoding_format' is '%s'; float and base64 are allowed.", format)
	}
	reply := embeddingsResponse{Object: "list", Model: model.Name}
	for index, input := range inputs {
		vector, tokens, err := model.embed(r.Context(), input, request.Truncate)
		if err != nil {
			return err
		}
		embedding, err := request.encode(vector)
		if err != nil {
			return err
		}
		reply.Data = append(reply.Data, embeddingObject{index, "embedding", embedding})
		reply.Usage.Prompt += tokens
		reply.Usage.Total += tokens
	}
	return writeJSON(w, 200, reply)
}

// give makes the input a context's prompt and answers its size in tokens. WasmEdge takes no
// tokens; a host that does says that it computes in parallel, too.
func (m *Model) give(used nn.Context, input input) (int, error) {
	switch {
	case input.parts != nil && !m.able.Prompt:
		return 0, invalid("input", "'input' is texts among token numbers, which this host does not take; send text.")
	case input.parts != nil:
		document, err := json.Marshal(map[string]any{"prompt": input.parts})
		if err != nil {
			return 0, err
		}
		return m.input(used, "input", string(document), true)
	case input.tokens == nil:
		return m.input(used, "input", input.text, false)
	}
	if m.Counts.Parallel == 0 {
		return 0, invalid("input", "'input' is token numbers, which this host does not take; send text.")
	}
	if err := used.SetTokens(input.tokens); err != nil {
		return 0, invalid("input", "'input' has a token number that the model does not have.")
	}
	return len(input.tokens), nil
}

// mostTokens is how many tokens a text to be embedded may have.
func (m *Model) mostTokens() int {
	if m.CtxSize > 0 {
		return min(m.Batch, m.CtxSize)
	}
	return m.Batch
}

// cut gives the context the first tokens of its prompt, as many as the model takes. The last one stays
// if it is no text: it ends what the model reads.
func (m *Model) cut(used nn.Context) (int, error) {
	told, err := used.Output(nn.Tokens)
	if err != nil {
		return 0, m.explain(used, err, fault{param: "input"})
	}
	var tokens []chance
	if err := json.Unmarshal(told, &tokens); err != nil {
		return 0, internal("the host's tokens cannot be read: %v", err)
	}
	most := m.mostTokens()
	if m.CtxSize > reserve {
		most = min(most, m.CtxSize-reserve)
	}
	kept := tokens[:min(most, len(tokens))]
	if last := tokens[len(tokens)-1]; len(last.Bytes) == 0 {
		kept[len(kept)-1] = last
	}
	numbers := []int32{}
	for _, token := range kept {
		numbers = append(numbers, int32(token.ID))
	}
	return len(kept), used.SetTokens(numbers)
}

// embed computes one vector and counts the input's tokens; a text that is too long may be cut.
func (m *Model) embed(ctx context.Context, input input, truncate bool) ([]float64, int, error) {
	used, err := m.acquire(ctx)
	if err != nil {
		return nil, 0, err
	}
	defer m.release(used)
	m.pace.take()
	defer m.pace.give()
	tokens, err := m.give(used, input)
	if err != nil {
		return nil, 0, err
	}
	limit := m.mostTokens()
	if tokens > limit && truncate && m.able.Prompt {
		tokens, err = m.cut(used)
	}
	if err != nil {
		return nil, 0, err
	}
	if tokens > limit {
		return nil, 0, tooManyTokens(limit, tokens)
	}
	if err := used.Compute(); err != nil {
		if err == nn.PromptTooLong {
			return nil, 0, tooManyTokens(limit, tokens)
		}
		return nil, 0, m.explain(used, err, fault{param: "input", tokens: tokens})
	}
	output, err := used.Output(nn.Text)
	if err != nil {
		return nil, 0, m.explain(used, err, fault{param: "input", tokens: tokens})
	}
	var computed struct {
		Embedding []float64 `json:"embedding"`
	}
	if err := json.Unmarshal(output, &computed); err != nil {
		return nil, 0, internal("the model's embedding cannot be read: %v", err)
	}
	return computed.Embedding, tokens, nil
}

func tooManyTokens(limit, tokens int) error {
	return newError(400, "context_length_exceeded", "input", "The input is too large: a text has %d tokens; the model takes %d.", tokens, limit)
}

// encode is the vector as the request wants it: cut to its dimensions and of length 1 again.
func (e *embeddingsRequest) encode(vector []float64) (any, error) {
	if e.Dimensions != nil {
		if *e.Dimensions < 1 || *e.Dimensions > len(vector) {
			return nil, invalid("dimensions", "'dimensions' is %d; 1 to %d are allowed for this model.", *e.Dimensions, len(vector))
		}
		vector = normalised(vector[:*e.Dimensions])
	}
	if e.EncodingFormat != "base64" {
		return vector, nil
	}
	var bytes []byte
	for _, value := range vector {
		bytes = binary.LittleEndian.AppendUint32(bytes, math.Float32bits(float32(value)))
	}
	return base64.StdEncoding.EncodeToString(bytes), nil
}

func normalised(vector []float64) []float64 {
	sum := 0.0
	for _, value := range vector {
		sum += value * value
	}
	if sum == 0 {
		return vector
	}
	scaled := make([]float64, len(vector))
	for index, value := range vector {
		scaled[index] = value / math.Sqrt(sum)
	}
	return scaled
}
