package prompt

import (
	"encoding/json"
	"strings"
)

// llamaDate is the date that Llama 3.1's template tells where it is given none.
const llamaDate = "26 Jul 2024"

// renderLlama3Tool is Llama 3.1's template with custom tools in the first user's turn.
func renderLlama3Tool(conversation Conversation) (string, error) {
	system, _, messages := split(conversation.Messages)
	text := ""
	if len(conversation.Tools) > 0 {
		text = "Environment: ipython\n"
	}
	text += "Cutting Knowledge Date: December 2023\nToday Date: " + llamaDate + "\n\n" + strings.TrimSpace(system)
	var prompt strings.Builder
	prompt.WriteString(llama3.system.before + text + llama3.system.after)
	if len(conversation.Tools) > 0 {
		first := ""
		if len(messages) > 0 && messages[0].Role == User {
			first, messages = strings.TrimSpace(messages[0].Content), messages[1:]
		}
		prompt.WriteString(llama3.user.before)
		prompt.WriteString("Given the following functions, please respond with a JSON for a function call with its proper arguments that best answers the given prompt.\n\n")
		prompt.WriteString(`Respond in the format {"name": function name, "parameters": dictionary of argument name and its value}.`)
		prompt.WriteString("Do not use variables.\n\n")
		for _, tool := range conversation.Tools {
			prompt.WriteString(pyJSON(tool.Raw, 4) + "\n\n")
		}
		prompt.WriteString(first + llama3.user.after)
	}
	for _, message := range messages {
		switch {
		case message.Role == ToolRole:
			prompt.WriteString(llama3.tool.before + pyQuote(message.Content) + llama3.tool.after)
		case len(message.ToolCalls) > 0:
			for _, call := range message.ToolCalls {
				prompt.WriteString(llama3.assistant.before + `{"name": "` + call.Name + `", "parameters": ` + call.arguments() + "}" + llama3.assistant.after)
			}
		default:
			llama3.write(&prompt, llama3.affix(message.Role), message.Content)
		}
	}
	return prompt.String() + llama3.cue, nil
}

// arguments is the call's arguments as Python writes JSON.
func (c ToolCall) arguments() string { return pyJSON(json.RawMessage(c.Arguments), 0) }

// renderFunctionary31 is meetkai/functionary-medium-v3.1's template.
func renderFunctionary31(conversation Conversation) (string, error) {
	var prompt strings.Builder
	prompt.WriteString(llama3.system.before + "\nCutting Knowledge Date: December 2023\n\n")
	if len(conversation.Tools) > 0 {
		prompt.WriteString("\nYou have access to the following functions:\n\n")
		for _, tool := range conversation.Tools {
			prompt.WriteString("Use the function '" + tool.Name + "' to '" + tool.Description + "'\n" + pyJSON(tool.Function, 0) + "\n\n")
		}
		prompt.WriteString(functionary31Rules)
	}
	prompt.WriteString(llama3.system.after)
	for _, message := range conversation.Messages {
		if message.Role != Assistant {
			affix := llama3.affix(message.Role)
			prompt.WriteString(affix.before + message.Content + affix.after)
			continue
		}
		prompt.WriteString(llama3.assistant.before + message.Content)
		for _, call := range message.ToolCalls {
			prompt.WriteString("<function=" + call.Name + ">" + call.arguments() + "</function>")
		}
		if len(message.ToolCalls) > 0 {
			prompt.WriteString("<|eom_id|>")
		} else {
			prompt.WriteString("<|eot_id|>")
		}
	}
	return prompt.String() + llama3.cue, nil
}

const functionary31Rules = "\nThink very carefully before calling functions.\nIf a you choose to call a function ONLY reply in the following format:\n<{start_tag}={function_name}>{parameters}{end_tag}\nwhere\n\nstart_tag => `<function`\nparameters => a JSON dict with the function argument name as key and function argument value as value.\nend_tag => `</function>`\n\nHere is an example,\n<function=example_function_name>{\"example_name\": \"example_value\"}</function>\n\nReminder:\n- If looking for real time information use relevant functions before falling back to brave_search\n- Function calls MUST follow the specified format, start with <function= and end with </function>\n- Required parameters MUST be specified\n- Only call one function at a time\n- Put the entire function call reply on one line\n\n"

// renderGroq is the format of Llama-3-Groq-Tool-Use's model card.
func renderGroq(conversation Conversation) (string, error) {
	system, _, messages := split(conversation.Messages)
	var prompt strings.Builder
	if len(conversation.Tools) > 0 {
		var tools []string
		for _, tool := range conversation.Tools {
			tools = append(tools, pyJSON(tool.Function, 4))
		}
		if system != "" {
			system = strings.TrimSpace(system) + "\n\n"
		}
		system += "You are a function calling AI model. You are provided with function signatures within <tools></tools> XML tags. You may call one or more functions to assist with the user query. Don't make assumptions about what values to plug into functions. For each function call return a json object with function name and arguments within <tool_call></tool_call> XML tags as follows:\n<tool_call>\n{\"name\": <function-name>,\"arguments\": <args-dict>}\n</tool_call>\n\nHere are the available tools:\n<tools> " + strings.Join(tools, "\n") + " </tools>"
	}
	if system != "" {
		llama3.write(&prompt, llama3.system, system)
	}
	for _, message := range messages {
		text := message.Content
		switch {
		case message.Role == ToolRole:
			prompt.WriteString("<|start_header_id|>tool<|end_header_id|>\n\n<tool_response>\n" + strings.TrimSpace(text) + "\n</tool_response><|eot_id|>")
			continue
		case len(message.ToolCalls) > 0:
			var calls []string
			for _, call := range message.ToolCalls {
				calls = append(calls, "<tool_call>\n{\"name\": \""+call.Name+"\", \"arguments\": "+call.arguments()+"}\n</tool_call>")
			}
			text = strings.Join(calls, "\n")
		}
		llama3.write(&prompt, llama3.affix(message.Role), text)
	}
	return prompt.String() + llama3.cue, nil
}
