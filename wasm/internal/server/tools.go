package server

import (
	"cmp"
	"encoding/json"
	"slices"

	"llama-api-server/internal/answer"
	"llama-api-server/internal/prompt"
)

// The values of tool_choice; a named function is required alone.
const (
	choiceNone     = "none"
	choiceAuto     = "auto"
	choiceRequired = "required"
)

// toolsChosen are a choice, and the names of the only functions that may be called, nil for all.
type toolsChosen struct {
	choice string
	names  []string
}

// namedTool is a function by its name, as a chat has it and as a response has it.
type namedTool struct {
	Name     string `json:"name"`
	Function struct {
		Name string `json:"name"`
	} `json:"function"`
}

// toolChoice reads tool_choice.
func toolChoice(raw json.RawMessage) (toolsChosen, error) {
	const wrong = "'tool_choice' must be none, auto, required, or an object that names a function or allowed_tools."
	var mode string
	if !isSet(raw) {
		return toolsChosen{choice: choiceAuto}, nil
	}
	if json.Unmarshal(raw, &mode) == nil {
		return toolsChosen{choice: mode}, checkMode("tool_choice", mode)
	}
	var given struct {
		namedTool
		Type    string `json:"type"`
		Allowed *struct {
			Mode  string      `json:"mode"`
			Tools []namedTool `json:"tools"`
		} `json:"allowed_tools"`
	}
	if json.Unmarshal(raw, &given) != nil {
		return toolsChosen{}, invalid("tool_choice", wrong)
	}
	chosen := toolsChosen{choice: choiceRequired}
	tools := []namedTool{given.namedTool}
	if given.Allowed != nil {
		if given.Type != "allowed_tools" || given.Allowed.Tools == nil {
			return toolsChosen{}, invalid("tool_choice", wrong)
		}
		chosen.choice, tools = given.Allowed.Mode, given.Allowed.Tools
		chosen.names = []string{}
	}
	for _, tool := range tools {
		name := cmp.Or(tool.Function.Name, tool.Name)
		if name == "" {
			return toolsChosen{}, invalid("tool_choice", wrong)
		}
		chosen.names = append(chosen.names, name)
	}
	return chosen, checkMode("tool_choice.allowed_tools.mode", chosen.choice)
}

func checkMode(param, mode string) error {
	if mode != choiceNone && mode != choiceAuto && mode != choiceRequired {
		return invalid(param, "'%s' is '%s'; none, auto and required are allowed.", param, mode)
	}
	return nil
}

// tools are the functions a request offers, and the choice among them: choiceNone if it has
// none for the model.
func (r *chatRequest) tools(template *prompt.Template) ([]prompt.Tool, string, error) {
	chosen, err := toolChoice(r.ToolChoice)
	if err != nil || chosen.choice == choiceNone {
		return nil, choiceNone, err
	}
	if len(r.Tools) == 0 {
		if chosen.choice == choiceRequired {
			return nil, "", invalid("tool_choice", "'tool_choice' requires a tool, and 'tools' has none.")
		}
		return nil, choiceNone, nil
	}
	if !template.Tools {
		return nil, "", invalid("tools", "The prompt template '%s' has no tools; start the server with one that has, such as chatml-tool or llama-3-tool.", template.Name)
	}
	var offered []prompt.Tool
	for index, raw := range r.Tools {
		tool, err := prompt.ParseTool(raw)
		if err != nil {
			return nil, "", invalid("tools", "'tools[%d]' is no function: %v.", index, err)
		}
		offered = append(offered, tool)
	}
	tools, err := chosen.among(offered)
	if len(tools) == 0 && err == nil {
		if chosen.choice == choiceRequired {
			return nil, "", invalid("tool_choice", "'tool_choice' requires a tool, and its 'allowed_tools' has none.")
		}
		return nil, choiceNone, nil
	}
	return tools, chosen.choice, err
}

// among are the tools that may be called.
func (t toolsChosen) among(tools []prompt.Tool) ([]prompt.Tool, error) {
	if t.names == nil {
		return tools, nil
	}
	for _, name := range t.names {
		if !slices.ContainsFunc(tools, func(tool prompt.Tool) bool { return tool.Name == name }) {
			return nil, invalid("tool_choice", "'tool_choice' names the function '%s', which 'tools' does not have.", name)
		}
	}
	return slices.DeleteFunc(tools, func(tool prompt.Tool) bool { return !slices.Contains(t.names, tool.Name) }), nil
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
