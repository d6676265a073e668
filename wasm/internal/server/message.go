package server

import (
	"cmp"
	"encoding/json"
	"encoding/json/jsontext"
	"fmt"
	"slices"
	"strings"

	"llama-api-server/internal/prompt"
)

// chatMessage is a message as a client writes it.
type chatMessage struct {
	Role       string     `json:"role"`
	Content    content    `json:"content"`
	Name       string     `json:"name"`
	ToolCalls  []toolCall `json:"tool_calls"`
	ToolCallID string     `json:"tool_call_id"`
	Reasoning  string     `json:"reasoning_content"`
	Thought    thinking   `json:"reasoning"` // the same, as vLLM and OpenRouter call it
}

type toolCall struct {
	ID       string       `json:"id"`
	Type     string       `json:"type"`
	Function functionCall `json:"function"`
}

type functionCall struct {
	Name      string    `json:"name"`
	Arguments arguments `json:"arguments"`
}

// arguments are a call's, as JSON text. A client may send them as an object, and may send none:
// "", null and a missing member are the call of a function without parameters.
type arguments string

func (a *arguments) UnmarshalJSON(text []byte) error {
	var written *string
	switch {
	case text[0] == '{':
		*a = arguments(text)
	case json.Unmarshal(text, &written) != nil:
		*a = arguments(text)
	case written != nil:
		*a = arguments(strings.TrimSpace(*written))
	}
	return nil
}

// call is the call for a template. Its error is the client's.
func (t *toolCall) call(param string) (prompt.ToolCall, error) {
	if t.Function.Name == "" {
		return prompt.ToolCall{}, invalid(strings.TrimSuffix(param, ".arguments"), "A tool call needs the name of its function.")
	}
	arguments := string(t.Function.Arguments)
	if arguments == "" {
		arguments = "{}"
	}
	if !json.Valid([]byte(arguments)) || arguments[0] != '{' {
		return prompt.ToolCall{}, invalid(param, "The arguments of the call of '%s' are not a JSON object.", t.Function.Name)
	}
	return prompt.ToolCall{ID: t.ID, Name: t.Function.Name, Arguments: arguments}, nil
}

// content is a text, null, or parts; wrong tells that it is something else.
type content struct {
	null  bool
	wrong bool
	parts []part
}

type part struct {
	Type       string      `json:"type"`
	Text       *string     `json:"text"`
	Refusal    string      `json:"refusal"`
	Thinking   thinking    `json:"thinking"`
	ImageURL   *imageURL   `json:"image_url"`
	InputAudio *inputAudio `json:"input_audio"`
}

// imageURL is an object with a picture's URL; some clients send the URL alone.
type imageURL struct {
	URL string `json:"url"`
}

func (i *imageURL) UnmarshalJSON(text []byte) error {
	if text[0] == '"' {
		return json.Unmarshal(text, &i.URL)
	}
	type object imageURL
	return json.Unmarshal(text, (*object)(i))
}

// thinking is what an assistant thought: a text, or parts of it, as Mistral's API has them.
type thinking string

func (t *thinking) UnmarshalJSON(text []byte) error {
	var said content
	if err := said.UnmarshalJSON(text); err != nil || said.wrong {
		return err
	}
	for _, part := range said.parts {
		if part.Text != nil {
			*t += thinking(*part.Text)
		}
	}
	return nil
}

// UnmarshalJSON goes by the first byte: a picture's megabytes are read but once.
func (c *content) UnmarshalJSON(text []byte) error {
	switch text[0] {
	case 'n':
		c.null = true
	case '"':
		plain, err := jsontext.AppendUnquote(nil, text)
		said := string(plain)
		c.parts = []part{{Type: "text", Text: &said}}
		if err != nil { // half a surrogate, which json.Unmarshal replaces
			return json.Unmarshal(text, &said)
		}
	default:
		c.wrong = json.Unmarshal(text, &c.parts) != nil
	}
	return nil
}

var roles = map[string]string{
	"system": prompt.System, "developer": prompt.System, "user": prompt.User,
	"assistant": prompt.Assistant, "tool": prompt.ToolRole, "function": prompt.ToolRole,
}

// turn is the message for a template. Images and recordings become the inline form the host reads,
// where projector says that the model has one.
func (m *chatMessage) turn(index int, projector bool) (prompt.Message, error) {
	param := fmt.Sprintf("messages[%d]", index)
	turn := prompt.Message{
		Role: roles[m.Role], Wrote: m.Role, Name: m.Name, Reasoning: cmp.Or(m.Reasoning, string(m.Thought)), ToolCallID: m.ToolCallID,
	}
	if turn.Role == "" {
		return turn, invalid(param+".role", "The role '%s' is not known; system, developer, user, assistant and tool are.", m.Role)
	}
	if m.Content.wrong {
		return turn, invalid(param+".content", "The content of a message is a string or an array of parts.")
	}
	if (m.Content.null || m.Content.parts == nil) && len(m.ToolCalls) == 0 && turn.Role != prompt.Assistant && turn.Role != prompt.ToolRole {
		return turn, invalid(param+".content", "A %s message needs a content.", m.Role)
	}
	for number := range m.ToolCalls {
		call, err := m.ToolCalls[number].call(fmt.Sprintf("%s.tool_calls[%d].function.arguments", param, number))
		if err != nil {
			return turn, err
		}
		turn.ToolCalls = append(turn.ToolCalls, call)
	}
	var texts []string
	for _, part := range m.Content.parts {
		if part.Type == "thinking" && turn.Role == prompt.Assistant {
			turn.Reasoning += string(part.Thinking)
			continue
		}
		text, made, err := part.inline(param+".content", projector)
		if err != nil {
			return turn, err
		}
		texts = append(texts, text)
		turn.Parts = append(turn.Parts, made)
	}
	turn.Content = strings.Join(texts, "\n")
	if !slices.ContainsFunc(turn.Parts, prompt.Part.Seen) {
		turn.Parts = nil
	}
	return turn, nil
}

// textTypes are the types of parts that are texts; the last two are those of OpenAI's Responses.
var textTypes = []string{"text", "input_text", "output_text"}

// media are the types of parts that need a projector, and what they are called.
var media = map[string]string{"image_url": "images", "input_audio": "audio"}

// inline is the part in a prompt, and for the model's own template.
func (p part) inline(param string, projector bool) (string, prompt.Part, error) {
	name, known := media[p.Type]
	switch {
	case slices.Contains(textTypes, p.Type):
		if p.Text == nil {
			return "", prompt.Part{}, invalid(param, "A part of type '%s' has no 'text'.", p.Type)
		}
		return *p.Text, prompt.Part{Text: *p.Text}, nil
	case p.Type == "refusal":
		return p.Refusal, prompt.Part{Text: p.Refusal}, nil
	case known && !projector:
		return "", prompt.Part{}, invalid(param, "This model takes no %s: the server was started without --llava-mmproj.", name)
	case p.Type == "image_url" && p.ImageURL != nil:
		text, err := inlinePicture(param, p.ImageURL.URL)
		url, _ := pictureURL(text)
		return text, prompt.Part{Picture: url}, err
	case p.Type == "input_audio" && p.InputAudio != nil:
		data, err := p.InputAudio.base64(param)
		return recordingStart + data + `">`, prompt.Part{Recording: data}, err
	case known:
		return "", prompt.Part{}, invalid(param, "A part of type '%s' has no '%s'.", p.Type, p.Type)
	}
	return "", prompt.Part{}, invalid(param, "Parts of type '%s' are not supported; text, image_url and input_audio are.", p.Type)
}
