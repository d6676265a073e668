package prompt

import (
	"encoding/json"
	"slices"
	"strings"
)

// renderFunctionary32 is meetkai/functionary-medium-v3.2's template.
func renderFunctionary32(conversation Conversation) (string, error) {
	var prompt strings.Builder
	prompt.WriteString(llama3.system.before + "You are capable of executing available function(s) if required.\nOnly execute function(s) when absolutely necessary.\nAsk for the required input to:recipient==all\nUse JSON for function arguments.\nRespond in this format:\n>>>${recipient}\n${content}\nAvailable functions:\n// Supported function definitions that should be called when necessary.\nnamespace functions {\n\n")
	for _, tool := range conversation.Tools {
		prompt.WriteString("// " + tool.Description + "\ntype " + tool.Name)
		_, schema := members(tool.Parameters)
		if names, _ := members(schema["properties"]); len(names) > 0 {
			prompt.WriteString(" = (_: {" + functionaryFields(schema, 0) + "\n}) => any;\n\n")
		} else {
			prompt.WriteString(" = () => any;\n\n")
		}
	}
	prompt.WriteString("} // namespace functions" + llama3.system.after)
	for _, message := range conversation.Messages {
		switch message.Role {
		case Assistant:
			prompt.WriteString(llama3.assistant.before)
			if message.Content != "" {
				prompt.WriteString(">>>all\n" + message.Content)
			}
			for _, call := range message.ToolCalls {
				prompt.WriteString(">>>" + call.Name + "\n" + call.Arguments)
			}
			prompt.WriteString(llama3.assistant.after)
		case ToolRole:
			prompt.WriteString("<|start_header_id|>tool<|end_header_id|>\n\n" + message.Content + "<|eot_id|>")
		default:
			affix := llama3.affix(message.Role)
			prompt.WriteString(affix.before + message.Content + affix.after)
		}
	}
	return prompt.String() + llama3.cue + ">>>", nil
}

// functionaryFields is the properties of an object's schema, a line each, as TypeScript.
func functionaryFields(schema map[string]json.RawMessage, depth int) string {
	names, properties := members(schema["properties"])
	var required []string
	json.Unmarshal(schema["required"], &required)
	offset := "\n" + strings.Repeat("    ", depth)
	var text strings.Builder
	for _, name := range names {
		_, fields := members(properties[name])
		if comment := functionaryComment(fields); comment != "" {
			text.WriteString(offset + comment)
		}
		declared := name
		if !slices.Contains(required, name) {
			declared += "?"
		}
		switch kind := functionaryType(fields); kind {
		case "object":
			text.WriteString(offset + declared + ": {" + functionaryFields(fields, depth+1) + offset + "},")
		case "array":
			_, items := members(fields["items"])
			text.WriteString(offset + declared + ": " + functionaryItems(items, depth) + "[],")
		default:
			text.WriteString(offset + declared + ": " + kind + ",")
		}
	}
	return text.String()
}

func functionaryItems(items map[string]json.RawMessage, depth int) string {
	switch kind := functionaryType(items); kind {
	case "object":
		return "{" + functionaryFields(items, depth+1) + "\n" + strings.Repeat("    ", depth) + "}"
	case "array":
		_, inner := members(items["items"])
		return functionaryItems(inner, depth+1) + "[]"
	case "any":
		return ""
	default:
		if items["enum"] != nil {
			return "(" + kind + ")"
		}
		return kind
	}
}

func functionaryType(fields map[string]json.RawMessage) string {
	if fields["enum"] != nil {
		return enumeration(fields["enum"])
	}
	kinds := []string{word(fields["type"])}
	json.Unmarshal(fields["type"], &kinds)
	kind := strings.Join(kinds, " | ")
	if kind == "integer" || kind == "float" {
		kind = "number"
	}
	if kind == "" {
		kind = "any"
	}
	if string(fields["nullable"]) == "true" {
		kind += " | null"
	}
	return kind
}

// enumeration is the values of an enum as a TypeScript union.
func enumeration(values json.RawMessage) string {
	var list []json.RawMessage
	json.Unmarshal(values, &list)
	var parts []string
	for _, value := range list {
		if value[0] == '"' {
			parts = append(parts, `"`+word(value)+`"`)
		} else {
			parts = append(parts, string(value))
		}
	}
	return strings.Join(parts, " | ")
}

var functionaryBounds = [][2]string{
	{"maximum", "Maximum"}, {"minimum", "Minimum"}, {"maxLength", "Maximum length"}, {"minLength", "Minimum length"},
}

// functionaryComment is what a property's schema says beside its type.
func functionaryComment(fields map[string]json.RawMessage) string {
	var text strings.Builder
	if fields["description"] != nil {
		text.WriteString(" " + strings.TrimSuffix(word(fields["description"]), ".") + ".")
	}
	if value := fields["default"]; value != nil {
		text.WriteString(" Default=" + pyJSON(value, 0) + ".")
	}
	if fields["format"] != nil {
		text.WriteString(" Format=" + word(fields["format"]))
	}
	for _, bound := range functionaryBounds {
		if value := fields[bound[0]]; value != nil {
			text.WriteString(" " + bound[1] + "=" + string(value))
		}
	}
	if text.Len() == 0 {
		return ""
	}
	return "//" + text.String()
}

// renderHarmony is gpt-oss's template.
func renderHarmony(conversation Conversation) (string, error) {
	system, _, messages := split(conversation.Messages)
	var prompt strings.Builder
	prompt.WriteString("<|start|>system<|message|>You are ChatGPT, a large language model trained by OpenAI.\nKnowledge cutoff: 2024-06\nCurrent date: " +
		conversation.Now.Format("2006-01-02") + "\n\nReasoning: medium\n\n# Valid channels: analysis, commentary, final. Channel must be included for every message.")
	if len(conversation.Tools) > 0 {
		prompt.WriteString("\nCalls to these tools must go to the commentary channel: 'functions'.")
	}
	prompt.WriteString("<|end|>")
	if system != "" || len(conversation.Tools) > 0 {
		prompt.WriteString("<|start|>developer<|message|>")
		if system != "" {
			prompt.WriteString("# Instructions\n\n" + system + "\n\n")
		}
		if len(conversation.Tools) > 0 {
			prompt.WriteString("# Tools\n\n" + harmonyTools(conversation.Tools))
		}
		prompt.WriteString("<|end|>")
	}
	called := ""
	for _, message := range messages {
		switch {
		case len(message.ToolCalls) > 0:
			for _, call := range message.ToolCalls {
				called = call.Name
				prompt.WriteString("<|start|>assistant to=functions." + called + "<|channel|>commentary json<|message|>" + call.arguments() + "<|call|>")
			}
		case message.Role == Assistant:
			prompt.WriteString("<|start|>assistant<|channel|>final<|message|>" + message.Content + "<|end|>")
		case message.Role == ToolRole:
			prompt.WriteString("<|start|>functions." + called + " to=assistant<|channel|>commentary<|message|>" + pyQuote(message.Content) + "<|end|>")
		case message.Role == User:
			prompt.WriteString("<|start|>user<|message|>" + message.Content + "<|end|>")
		}
	}
	return prompt.String() + "<|start|>assistant", nil
}

func harmonyTools(tools []Tool) string {
	var text strings.Builder
	text.WriteString("## functions\n\nnamespace functions {\n\n")
	for _, tool := range tools {
		text.WriteString("// " + tool.Description + "\ntype " + tool.Name + " = ")
		_, schema := members(tool.Parameters)
		names, properties := members(schema["properties"])
		if len(names) == 0 {
			text.WriteString("() => any;\n\n")
			continue
		}
		var required []string
		json.Unmarshal(schema["required"], &required)
		text.WriteString("(_: {\n")
		for _, name := range names {
			_, fields := members(properties[name])
			if about := word(fields["description"]); about != "" {
				text.WriteString("// " + about + "\n")
			}
			text.WriteString(name)
			if !slices.Contains(required, name) {
				text.WriteString("?")
			}
			text.WriteString(": " + harmonyType(fields))
			if value := fields["default"]; value != nil {
				text.WriteString(", // default: " + pyJSON(value, 0))
			}
			text.WriteString(",\n")
		}
		text.WriteString("}) => any;\n\n")
	}
	text.WriteString("} // namespace functions")
	return text.String()
}

func harmonyType(fields map[string]json.RawMessage) string {
	kind := word(fields["type"])
	var kinds []string
	json.Unmarshal(fields["type"], &kinds)
	null := ""
	if string(fields["nullable"]) == "true" {
		null = " | null"
	}
	switch {
	case kind == "array":
		_, items := members(fields["items"])
		if len(items) == 0 {
			return "any[]" + null
		}
		return harmonyType(items) + "[]" + null
	case len(kinds) > 0:
		return strings.Join(kinds, " | ")
	case kind == "string" && fields["enum"] != nil:
		return enumeration(fields["enum"])
	case kind == "string":
		return "string" + null
	case kind == "integer":
		return "number"
	case kind == "number", kind == "boolean":
		return kind
	case kind == "object" && fields["properties"] != nil:
		return harmonyObject(fields)
	case kind == "object":
		return kind
	}
	return "any"
}

func harmonyObject(fields map[string]json.RawMessage) string {
	names, properties := members(fields["properties"])
	var required, parts []string
	json.Unmarshal(fields["required"], &required)
	for _, name := range names {
		_, property := members(properties[name])
		if !slices.Contains(required, name) {
			name += "?"
		}
		parts = append(parts, name+": "+harmonyType(property))
	}
	return "{\n" + strings.Join(parts, ", ") + "}"
}
