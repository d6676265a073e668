package server

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

const mostTold = 20

// chance is a token with the logarithm of its probability, and those that it was chosen among,
// as the host tells it.
type chance struct {
	ID      int      `json:"id"`
	Bytes   []int    `json:"bytes"`
	Logprob float64  `json:"logprob"`
	Top     []chance `json:"top"`
}

func (c *chance) bytes() []byte {
	text := make([]byte, len(c.Bytes))
	for index, value := range c.Bytes {
		text[index] = byte(value)
	}
	return text
}

// text is the token's, with U+FFFD for bytes that are no characters.
func (c *chance) text() string { return strings.ToValidUTF8(string(c.bytes()), "\uFFFD") }

// chances are those of the tokens of an answer, which come out with the text they are part of.
type chances struct {
	waiting []startingAt
	pushed  int // bytes of text
	told    int
}

type startingAt struct {
	start int
	chance
}

// push takes what the host tells of a token that adds size bytes of text.
func (c *chances) push(told []byte, size int) error {
	token := startingAt{start: c.pushed}
	if err := json.Unmarshal(told, &token.chance); err != nil {
		return internal("the host's probabilities of a token cannot be read: %v", err)
	}
	c.waiting = append(c.waiting, token)
	c.pushed += size
	return nil
}

// take is what of it text that comes out begins or is made of.
func (c *chances) take(text string) []chance {
	c.told += len(text)
	count := 0
	for count < len(c.waiting) && c.waiting[count].start < c.told {
		count++
	}
	return c.first(count)
}

// rest is what is left at the end of an answer that no stop has cut.
func (c *chances) rest() []chance { return c.first(len(c.waiting)) }

func (c *chances) first(count int) []chance {
	var found []chance
	for _, token := range c.waiting[:count] {
		found = append(found, token.chance)
	}
	c.waiting = c.waiting[count:]
	return found
}

// tokenLogprob is OpenAI's, and the token's number.
type tokenLogprob struct {
	ID      int     `json:"id"`
	Token   string  `json:"token"`
	Logprob float64 `json:"logprob"`
	Bytes   []int   `json:"bytes"`
}

type contentLogprob struct {
	tokenLogprob
	Top []tokenLogprob `json:"top_logprobs"`
}

type chatLogprobs struct {
	Content []contentLogprob `json:"content"`
	Refusal *string          `json:"refusal"`
}

// completionLogprobs are as /v1/completions has them, and as chats do.
type completionLogprobs struct {
	Offsets  []int                `json:"text_offset"`
	Logprobs []float64            `json:"token_logprobs"`
	Tokens   []string             `json:"tokens"`
	Top      []map[string]float64 `json:"top_logprobs"`
	Content  []contentLogprob     `json:"content"`
}

func logprobOf(token chance) tokenLogprob {
	return tokenLogprob{token.ID, token.text(), token.Logprob, token.Bytes}
}

func contentOf(tokens []chance, top int) []contentLogprob {
	content := []contentLogprob{}
	for _, token := range tokens {
		row := contentLogprob{logprobOf(token), []tokenLogprob{}}
		for _, other := range token.Top[:min(top, len(token.Top))] {
			row.Top = append(row.Top, logprobOf(other))
		}
		content = append(content, row)
	}
	return content
}

// completion are the tokens of a text as completions have them, null where nobody asked; offset
// bytes of the text came before.
func (a logprobsAsked) completion(tokens []chance, offset int) *completionLogprobs {
	if !a.told {
		return nil
	}
	made := &completionLogprobs{Content: contentOf(tokens, a.top)}
	for index, row := range made.Content {
		made.Offsets = append(made.Offsets, offset)
		offset += len(tokens[index].Bytes)
		made.Logprobs = append(made.Logprobs, row.Logprob)
		made.Tokens = append(made.Tokens, row.Token)
		others := map[string]float64{}
		for _, other := range slices.Backward(row.Top) {
			others[other.Token] = other.Logprob
		}
		made.Top = append(made.Top, others)
	}
	return made
}

// joined are those of a text and of what it goes on with.
func (c *completionLogprobs) joined(more *completionLogprobs) *completionLogprobs {
	if c == nil || more == nil {
		return cmp.Or(c, more)
	}
	return &completionLogprobs{
		append(c.Offsets, more.Offsets...), append(c.Logprobs, more.Logprobs...), append(c.Tokens, more.Tokens...),
		append(c.Top, more.Top...), append(c.Content, more.Content...),
	}
}

// logprobsAsked is how many of the likeliest tokens a request wants to be told beside each, and
// whether it wants to be told at all: by llama.cpp's n_probs, or as the endpoint says it.
type logprobsAsked struct {
	top  int
	told bool
}

// tell takes what the endpoint's own fields ask for, and asks the host for it.
func (s *sampling) tell(param string, asked logprobsAsked, model *Model) error {
	if count, given := s.settings["n-probs"].(int64); given && count > 0 && !asked.told {
		param, asked = "n_probs", logprobsAsked{int(count), true}
	}
	if s.logprobs = asked; !asked.told {
		return nil
	}
	if !slices.Contains(model.able.Keys, "n-probs") {
		return invalid(param, "'%s' is not supported: this WASI-NN host tells no probabilities.", param)
	}
	s.settings["n-probs"] = max(1, asked.top)
	return nil
}

// chat are the tokens as chats have them, null where nobody asked.
func (a logprobsAsked) chat(tokens []chance) *chatLogprobs {
	if !a.told {
		return nil
	}
	return &chatLogprobs{Content: contentOf(tokens, a.top)}
}
