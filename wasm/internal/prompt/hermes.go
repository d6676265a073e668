package prompt

import (
	"encoding/json"
	"strings"
)

// renderHermes is NousResearch/Hermes-2-Pro's tool_use template; without tools it is chatml.
func renderHermes(conversation Conversation) (string, error) {
	if len(conversation.Tools) == 0 && !uses(conversation.Messages) {
		return chatml.render(conversation)
	}
	var prompt strings.Builder
	if len(conversation.Tools) > 0 {
		prompt.WriteString("<|im_start|>system\nYou are a function calling AI model. You are provided with function signatures within <tools></tools> XML tags. You may call one or more functions to assist with the user query. Don't make assumptions about what values to plug into functions. Here are the available tools: <tools> ")
		for index, tool := range conversation.Tools {
			if index > 0 {
				prompt.WriteString("\n")
			}
			prompt.WriteString(hermesTool(tool))
		}
		prompt.WriteString(" </tools>Use the following pydantic model json schema for each tool call you will make: {\"properties\": {\"name\": {\"title\": \"Name\", \"type\": \"string\"}, \"arguments\": {\"title\": \"Arguments\", \"type\": \"object\"}}, \"required\": [\"name\", \"arguments\"], \"title\": \"FunctionCall\", \"type\": \"object\"}}\nFor each function call return a json object with function name and arguments within <tool_call></tool_call> XML tags as follows:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-dict>}\n</tool_call><|im_end|>\n")
	}
	messages := conversation.Messages
	for index, message := range messages {
		switch {
		case message.Role == ToolRole:
			if index > 0 && messages[index-1].Role != ToolRole {
				prompt.WriteString("<|im_start|>tool\n")
			}
			prompt.WriteString("<tool_response>\n" + message.Content + "\n</tool_response>")
			last := index == len(messages)-1
			if !last {
				prompt.WriteString("\n")
			}
			if last || messages[index+1].Role != ToolRole {
				prompt.WriteString("<|im_end|>")
			}
		case len(message.ToolCalls) > 0:
			prompt.WriteString("<|im_start|>assistant" + hermesCallsOf(message) + "<|im_end|>\n")
		default:
			chatml.write(&prompt, chatml.affix(message.Role), message.Content)
		}
	}
	return prompt.String() + chatml.cue, nil
}

// uses tells whether the messages hold calls or results of tools.
func uses(messages []Message) bool {
	for _, message := range messages {
		if message.Role == ToolRole || len(message.ToolCalls) > 0 {
			return true
		}
	}
	return false
}

func hermesCallsOf(message Message) string {
	var text strings.Builder
	for _, call := range message.ToolCalls {
		text.WriteString("\n<tool_call>\n{\"name\": \"" + call.Name + "\", \"arguments\": " + call.arguments() + "}\n</tool_call>")
	}
	return text.String()
}

// hermesTool is a tool with its parameters told twice: as a Python signature and as a schema.
func hermesTool(tool Tool) string {
	_, schema := members(tool.Parameters)
	names, properties := members(schema["properties"])
	var signature, details []string
	for _, name := range names {
		_, property := members(properties[name])
		kind := pythonType(properties[name])
		signature = append(signature, name+": "+kind)
		details = append(details, "        "+name+"("+kind+"): "+strings.TrimSpace(word(property["description"])))
	}
	text := `{"type": "function", "function": {"name": "` + tool.Name + `", "description": "` +
		tool.Name + "(" + strings.Join(signature, ", ") + ") - " + tool.Description + "\n\n"
	if len(details) > 0 {
		text += "    Args:\n" + strings.Join(details, "")
	}
	parameters := "{}"
	if len(names) > 0 {
		parameters = pyJSON(tool.Parameters, 0)
	}
	return text + `", "parameters": ` + parameters + "}"
}

var pythonTypes = map[string]string{"string": "str", "number": "float", "integer": "int", "boolean": "bool"}

// pythonType is a schema's type as a Python annotation.
func pythonType(schema json.RawMessage) string {
	_, fields := members(schema)
	kind := word(fields["type"])
	var kinds []string
	json.Unmarshal(fields["type"], &kinds)
	switch {
	case pythonTypes[kind] != "":
		return pythonTypes[kind]
	case kind == "array":
		return "list[" + pythonType(fields["items"]) + "]"
	case kind == "object" && fields["additionalProperties"] != nil:
		return "dict[str, " + pythonType(fields["additionalProperties"]) + "]"
	case kind == "object":
		return "dict"
	case len(kinds) > 0:
		for index, one := range kinds {
			quoted, _ := json.Marshal(one)
			kinds[index] = pythonType(json.RawMessage(`{"type": ` + string(quoted) + `}`))
		}
		return "Union[" + strings.Join(kinds, ",") + "]"
	}
	return "Any"
}

// qwen3 is Qwen3's template; cue is what its answers begin with.
type qwen3 struct{ cue string }

func (q qwen3) render(conversation Conversation) (string, error) {
	system, found, messages := split(conversation.Messages)
	var prompt strings.Builder
	if len(conversation.Tools) > 0 {
		if found {
			system += "\n\n"
		}
		system += "# Tools\n\nYou may call one or more functions to assist with the user query.\n\nYou are provided with function signatures within <tools></tools> XML tags:\n<tools>"
		for _, tool := range conversation.Tools {
			system += "\n" + pyJSON(tool.Raw, 0)
		}
		system += "\n</tools>\n\nFor each function call, return a json object with function name and arguments within <tool_call></tool_call> XML tags:\n<tool_call>\n{\"name\": <function-name>, \"arguments\": <args-json-object>}\n</tool_call>"
	}
	if system != "" || found {
		chatml.write(&prompt, chatml.system, system)
	}
	for index, message := range messages {
		switch {
		case message.Role == ToolRole:
			if index == 0 || messages[index-1].Role != ToolRole {
				prompt.WriteString("<|im_start|>user")
			}
			prompt.WriteString("\n<tool_response>\n" + message.Content + "\n</tool_response>")
			if index == len(messages)-1 || messages[index+1].Role != ToolRole {
				prompt.WriteString("<|im_end|>\n")
			}
		case message.Role == Assistant:
			text := withoutThoughts(message.Content)
			calls := hermesCallsOf(message)
			if text == "" {
				calls = strings.TrimPrefix(calls, "\n")
			}
			chatml.write(&prompt, chatml.assistant, text+calls)
		default:
			chatml.write(&prompt, chatml.affix(message.Role), message.Content)
		}
	}
	return prompt.String() + chatml.cue + q.cue, nil
}

// withoutThoughts is an earlier answer without the reasoning it began with.
func withoutThoughts(text string) string {
	if at := strings.LastIndex(text, "</think>"); at >= 0 {
		return strings.TrimLeft(text[at+len("</think>"):], "\n")
	}
	return text
}

// renderInternLM2 is the format of InternLM2's chat documents.
func renderInternLM2(conversation Conversation) (string, error) {
	system, found, messages := split(conversation.Messages)
	var prompt strings.Builder
	if found {
		chatml.write(&prompt, chatml.system, system)
	}
	if len(conversation.Tools) > 0 {
		var tools []string
		for _, tool := range conversation.Tools {
			tools = append(tools, pyJSON(tool.Function, 0))
		}
		prompt.WriteString("<|im_start|>system name=<|plugin|>\n[" + strings.Join(tools, ", ") + "]<|im_end|>\n")
	}
	for _, message := range messages {
		switch {
		case message.Role == ToolRole:
			prompt.WriteString("<|im_start|>environment name=<|plugin|>\n" + message.Content + "<|im_end|>\n")
		case len(message.ToolCalls) > 0:
			text := message.Content
			for _, call := range message.ToolCalls {
				text += "<|action_start|><|plugin|>\n{\"name\": " + pyQuote(call.Name) + ", \"parameters\": " + call.arguments() + "}<|action_end|>"
			}
			chatml.write(&prompt, chatml.assistant, text)
		default:
			chatml.write(&prompt, chatml.affix(message.Role), message.Content)
		}
	}
	return prompt.String() + chatml.cue, nil
}

// renderNemotron is nvidia/Nemotron-Mini-4B-Instruct's template.
func renderNemotron(conversation Conversation) (string, error) {
	system, found, messages := split(conversation.Messages)
	var prompt strings.Builder
	prompt.WriteString("<extra_id_0>System")
	if found {
		prompt.WriteString("\n" + strings.TrimSpace(system))
		if len(conversation.Tools) > 0 {
			prompt.WriteString("\n")
		}
	}
	for _, tool := range conversation.Tools {
		prompt.WriteString("\n<tool> " + pyJSON(tool.Raw, 0) + " </tool>")
	}
	prompt.WriteString("\n\n")
	for _, message := range messages {
		text := message.Content
		for _, call := range message.ToolCalls {
			text += "\n<toolcall> {\"name\": " + pyQuote(call.Name) + ", \"arguments\": " + call.arguments() + "} </toolcall>"
		}
		nemotron.write(&prompt, nemotron.affix(message.Role), text)
	}
	return prompt.String() + nemotron.cue, nil
}
