package prompt

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// mistralTool is Mistral's format with tools: version 3 of its templates, and with a system
// turn of its own version 7.
type mistralTool struct {
	system    affix // where it is empty, the system's text begins the last turn, if a user's
	tools     affix
	user      affix
	calls     string
	assistant affix
	results   affix
	content   string // between the id and the result of a call; where it is empty, they are JSON
}

var mistralSmall = mistralTool{
	system:    affix{"[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]"},
	tools:     affix{"[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]"},
	user:      affix{"[INST]", "[/INST]"},
	calls:     "[TOOL_CALLS]",
	assistant: affix{"", "</s>"},
	results:   affix{"[TOOL_RESULTS]", "[/TOOL_RESULTS]"},
	content:   "[TOOL_CONTENT]",
}

// mistralSmallSystem is the system's text where there is none; the date goes into it.
const mistralSmallSystem = "You are Mistral Small 3, a Large Language Model (LLM) created by Mistral AI, a French startup headquartered in Paris.\nYour knowledge base was last updated on 2023-10-01. The current date is %s.\n\nWhen you're not sure about some information, you say that you don't have the information and don't make up anything.\nIf the user's question is not clear, ambiguous, or does not provide enough context for you to accurately answer the question, you do not try to answer it right away and you rather ask the user to clarify their request (e.g. \"What are some good restaurants around me?\" => \"Where are you?\" or \"When is the next flight to Tokyo\" => \"Where do you travel from?\")"

func (m mistralTool) render(conversation Conversation) (string, error) {
	system, found, messages := split(conversation.Messages)
	var prompt strings.Builder
	if m.system != (affix{}) {
		if !found {
			system = fmt.Sprintf(mistralSmallSystem, conversation.Now.Format("2006-01-02"))
		}
		prompt.WriteString(m.system.before + system + m.system.after)
		found = false
	}
	lastUser := -1
	for index, message := range messages {
		if message.Role == User {
			lastUser = index
		}
	}
	for index, message := range messages {
		switch {
		case message.Role == User:
			if index == lastUser && len(conversation.Tools) > 0 {
				prompt.WriteString(m.tools.before + mistralTools(conversation.Tools) + m.tools.after)
			}
			text := message.Content
			if found && index == len(messages)-1 {
				text = system + "\n\n" + text
			}
			prompt.WriteString(m.user.before + text + m.user.after)
		case message.Role == ToolRole:
			result := `{"content": ` + message.Content + `, "call_id": "` + mistralID(message.ToolCallID) + `"}`
			if m.content != "" {
				result = mistralID(message.ToolCallID) + m.content + message.Content
			}
			prompt.WriteString(m.results.before + result + m.results.after)
		case len(message.ToolCalls) > 0:
			var calls []string
			for _, call := range message.ToolCalls {
				calls = append(calls, `{"name": `+pyQuote(call.Name)+`, "arguments": `+call.arguments()+`, "id": "`+mistralID(call.ID)+`"}`)
			}
			prompt.WriteString(m.calls + "[" + strings.Join(calls, ", ") + "]" + m.assistant.after)
		default:
			prompt.WriteString(m.assistant.before + strings.TrimSpace(message.Content) + m.assistant.after)
		}
	}
	return prompt.String(), nil
}

// mistralTools is the tools as a JSON array, in the order of keys of Mistral's template.
func mistralTools(tools []Tool) string {
	var list []string
	for _, tool := range tools {
		list = append(list, `{"type": "function", "function": `+pyJSON(tool.Function, 0)+`}`)
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// mistralID is the last 9 letters and digits of a call's id: the model knows no other length.
func mistralID(id string) string {
	kept := strings.Map(func(char rune) rune {
		if char >= '0' && char <= '9' || char >= 'a' && char <= 'z' || char >= 'A' && char <= 'Z' {
			return char
		}
		return -1
	}, id)
	kept = strings.Repeat("0", max(0, 9-len(kept))) + kept
	return kept[len(kept)-9:]
}

// members are the names and values of a JSON object in their order.
func members(object json.RawMessage) (names []string, values map[string]json.RawMessage) {
	decoder := json.NewDecoder(bytes.NewReader(object))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, nil
	}
	values = map[string]json.RawMessage{}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return names, values
		}
		var value json.RawMessage
		if decoder.Decode(&value) != nil {
			return names, values
		}
		key := name.(string)
		if _, twice := values[key]; !twice {
			names = append(names, key)
		}
		values[key] = value
	}
	return names, values
}

// word is the JSON string value, or nothing where it is something else.
func word(value json.RawMessage) string {
	var text string
	json.Unmarshal(value, &text)
	return text
}
