package server

import (
	"encoding/json"

	"llama-api-server/internal/answer"
	"llama-api-server/internal/prompt"
)

// The values of tool_choice; a named function is required alone.
const (
	choiceNone     = "none"
	choiceAuto     = "auto"
	choiceRequired = "required"
)

// toolChoice reads tool_choice and, where it names one, the function's name.
func toolChoice(raw json.RawMessage) (choice, name string, err error) {
	if len(raw) == 0 || string(raw) == "null" {
		return choiceAuto, "", nil
	}
	if json.Unmarshal(raw, &choice) == nil {
		if choice != choiceNone && choice != choiceAuto && choice != choiceRequired {
			return "", "", invalid("tool_choice", "'tool_choice' is '%s'; none, auto, required and a function are allowed.", choice)
		}
		return choice, "", nil
	}
	var named struct {
		Type     string `json:"type"`
		Name     string `json:"name"`
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if json.Unmarshal(raw, &named) != nil || named.Function.Name+named.Name == "" {
		return "", "", invalid("tool_choice", "'tool_choice' must be none, auto, required or an object that names a function.")
	}
	if named.Function.Name == "" {
		named.Function.Name = named.Name
	}
	return choiceRequired, named.Function.Name, nil
}

// tools are the functions a request offers, and the choice among them: choiceNone if it has
// none for the model.
func (r *chatRequest) tools(template *prompt.Template) ([]prompt.Tool, string, error) {
	choice, name, err := toolChoice(r.ToolChoice)
	if err != nil || choice == choiceNone {
		return nil, choiceNone, err
	}
	if len(r.Tools) == 0 {
		if choice == choiceRequired {
			return nil, "", invalid("tool_choice", "'tool_choice' requires a tool, and 'tools' has none.")
		}
		return nil, choiceNone, nil
	}
	if !template.Tools {
		return nil, "", invalid("tools", "The prompt template '%s' has no tools; start the server with one that has, such as chatml-tool or llama-3-tool.", template.Name)
	}
	var tools []prompt.Tool
	for index, raw := range r.Tools {
		tool, err := prompt.ParseTool(raw)
		if err != nil {
			return nil, "", invalid("tools", "'tools[%d]' is no function: %v.", index, err)
		}
		if name == "" || tool.Name == name {
			tools = append(tools, tool)
		}
	}
	if len(tools) == 0 {
		return nil, "", invalid("tool_choice", "'tool_choice' names the function '%s', which 'tools' does not have.", name)
	}
	return tools, choice, nil
}

// textParameters tells which parameters of tools are texts, as far as their schemas say.
func textParameters(tools []prompt.Tool) answer.IsText {
	types := map[[2]string]bool{}
	for _, tool := range tools {
		var schema struct {
			Properties map[string]struct {
				Type any `json:"type"`
			} `json:"properties"`
		}
		json.Unmarshal(tool.Parameters, &schema)
		for name, property := range schema.Properties {
			if property.Type != nil {
				types[[2]string{tool.Name, name}] = property.Type == "string"
			}
		}
	}
	return func(function, parameter string) (text, known bool) {
		text, known = types[[2]string{function, parameter}]
		return text, known
	}
}

// toolCalls are the calls of an answer as the API has them.
func toolCalls(calls []answer.Call) []toolCall {
	var written []toolCall
	for _, call := range calls {
		written = append(written, toolCall{ID: callID(), Type: "function", Function: functionCall{call.Name, arguments(call.Arguments)}})
	}
	return written
}

func callID() string { return "call_" + uuid()[24:] }

// callDelta is a piece of a call: the first has the id and the name, the others more arguments.
type callDelta struct {
	Index    int           `json:"index"`
	ID       string        `json:"id,omitempty"`
	Type     string        `json:"type,omitempty"`
	Function functionDelta `json:"function"`
}

type functionDelta struct {
	Name      string `json:"name,omitempty"`
	Arguments string `json:"arguments"`
}

func beginCall(index int, call *answer.Call) callDelta {
	return callDelta{index, callID(), "function", functionDelta{call.Name, call.Arguments}}
}

func goOnWithCall(index int, arguments string) callDelta {
	return callDelta{Index: index, Function: functionDelta{Arguments: arguments}}
}
