package prompt

import "testing"

// formats are the prompts of the conversations in testdata by the formats of models whose
// authors publish no template: in their model cards, or in LlamaEdge's documents.
var formats = map[string]map[string]string{
	"mistrallite": {"turns": "<|prompter|>You are a helpful assistant.\n\nHello, \"you\" & <them>!</s><|assistant|>Hi there 😀</s><|prompter|>Who are you?\nSay it twice.</s><|assistant|>An assistant.</s><|prompter|>Danke schön</s><|assistant|>"},
	"human-assistant": {
		"user":  "Human: Who was Oppenheimer?\n\nAssistant:",
		"turns": "You are a helpful assistant.\n\nHuman: Hello, \"you\" & <them>!\n\nAssistant:Hi there 😀Human: Who are you?\nSay it twice.\n\nAssistant:An assistant.Human: Danke schön\n\nAssistant:",
	},
	"vicuna-1.0-chat": {
		"user":  vicunaSystem + " USER: Who was Oppenheimer? ASSISTANT:",
		"turns": "You are a helpful assistant. USER: Hello, \"you\" & <them>! ASSISTANT: Hi there 😀 USER: Who are you?\nSay it twice. ASSISTANT: An assistant. USER: Danke schön ASSISTANT:",
	},
	"vicuna-1.1-chat": {
		"user":  vicunaSystem + " USER: Who was Oppenheimer? ASSISTANT:",
		"turns": "You are a helpful assistant. USER: Hello, \"you\" & <them>! ASSISTANT: Hi there 😀</s>USER: Who are you?\nSay it twice. ASSISTANT: An assistant.</s>USER: Danke schön ASSISTANT:",
	},
	"vicuna-llava":    {"user": llavaSystem + " USER: Who was Oppenheimer? ASSISTANT:"},
	"internlm-2-tool": {"results": "<|im_start|>system name=<|plugin|>\n[{\"name\": \"get_weather\", \"description\": \"Get the weather of a city\", \"parameters\": {\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\", \"description\": \"The city\"}}, \"required\": [\"city\"]}}]<|im_end|>\n<|im_start|>user\nHow is the weather in Paris?<|im_end|>\n<|im_start|>assistant\n<|action_start|><|plugin|>\n{\"name\": \"get_weather\", \"parameters\": {\"city\": \"Paris\", \"unit\": \"celsius\"}}<|action_end|><|im_end|>\n<|im_start|>environment name=<|plugin|>\n{\"degrees\": 21}<|im_end|>\n<|im_start|>assistant\n"},
	"baichuan-2":      {"turns": "You are a helpful assistant.<reserved_106>Hello, \"you\" & <them>!<reserved_107>Hi there 😀<reserved_106>Who are you?\nSay it twice.<reserved_107>An assistant.<reserved_106>Danke schön<reserved_107>"},
	"wizard-coder": {
		"user":   "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n### Instruction:\nWho was Oppenheimer?\n\n### Response:",
		"system": "Be brief.\n\n### Instruction:\nWho was Oppenheimer?\n\n### Response:",
	},
	"intel-neural":   {"system": "### System:\nBe brief.\n### User:\nWho was Oppenheimer?\n### Assistant:\n"},
	"phi-2-chat":     {"turns": "You are a helpful assistant.\nAlice: Hello, \"you\" & <them>!\nBob: Hi there 😀\nAlice: Who are you?\nSay it twice.\nBob: An assistant.\nAlice: Danke schön\nBob:"},
	"phi-2-instruct": {"user": "Instruct: Who was Oppenheimer?\nOutput:"},
	"octopus": {
		"user":  "Below is the query from the users, please call the correct function and generate the parameters to call the function.\n\nQuery: Who was Oppenheimer? \n\nResponse:",
		"turns": "You are a helpful assistant.\n\nQuery: Hello, \"you\" & <them>! \n\nResponse: Hi there 😀\n\nQuery: Who are you?\nSay it twice. \n\nResponse: An assistant.\n\nQuery: Danke schön \n\nResponse:",
	},
	"groq-llama3-tool": {
		"user":    "<|start_header_id|>user<|end_header_id|>\n\nWho was Oppenheimer?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
		"results": "<|start_header_id|>system<|end_header_id|>\n\nYou are a function calling AI model. You are provided with function signatures within <tools></tools> XML tags. You may call one or more functions to assist with the user query. Don't make assumptions about what values to plug into functions. For each function call return a json object with function name and arguments within <tool_call></tool_call> XML tags as follows:\n<tool_call>\n{\"name\": <function-name>,\"arguments\": <args-dict>}\n</tool_call>\n\nHere are the available tools:\n<tools> {\n    \"name\": \"get_weather\",\n    \"description\": \"Get the weather of a city\",\n    \"parameters\": {\n        \"type\": \"object\",\n        \"properties\": {\n            \"city\": {\n                \"type\": \"string\",\n                \"description\": \"The city\"\n            }\n        },\n        \"required\": [\n            \"city\"\n        ]\n    }\n} </tools><|eot_id|><|start_header_id|>user<|end_header_id|>\n\nHow is the weather in Paris?<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n<tool_call>\n{\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\", \"unit\": \"celsius\"}}\n</tool_call><|eot_id|><|start_header_id|>tool<|end_header_id|>\n\n<tool_response>\n{\"degrees\": 21}\n</tool_response><|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
	},
	"mediatek-breeze":    {"turns": "You are a helpful assistant.  [INST] Hello, \"you\" & <them>! [/INST] Hi there 😀 [INST] Who are you?\nSay it twice. [/INST] An assistant. [INST] Danke schön [/INST] "},
	"nemotron-tool":      {"results": "<extra_id_0>System\n<tool> {\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"description\": \"Get the weather of a city\", \"parameters\": {\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\", \"description\": \"The city\"}}, \"required\": [\"city\"]}}} </tool>\n\n<extra_id_1>User\nHow is the weather in Paris?\n<extra_id_1>Assistant\n<toolcall> {\"name\": \"get_weather\", \"arguments\": {\"city\": \"Paris\", \"unit\": \"celsius\"}} </toolcall>\n<extra_id_1>Tool\n{\"degrees\": 21}\n<extra_id_1>Assistant\n"},
	"mistral-small-chat": {"turns": "[SYSTEM_PROMPT]You are a helpful assistant.[/SYSTEM_PROMPT][INST]Hello, \"you\" & <them>![/INST]Hi there 😀</s>[INST]Who are you?\nSay it twice.[/INST]An assistant.</s>[INST]Danke schön[/INST]"},
	"mistral-small-tool": {"tools": "[SYSTEM_PROMPT]You are a helpful assistant.[/SYSTEM_PROMPT][AVAILABLE_TOOLS][{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"description\": \"Get the weather of a city\", \"parameters\": {\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\", \"description\": \"The city's name, e.g. München\"}, \"unit\": {\"type\": \"string\", \"description\": \"The unit\", \"enum\": [\"celsius\", \"fahrenheit\"]}}, \"required\": [\"city\"]}}}, {\"type\": \"function\", \"function\": {\"name\": \"add\", \"description\": \"Add two numbers\", \"parameters\": {\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\", \"description\": \"One\"}, \"b\": {\"type\": \"number\", \"description\": \"Another\"}}, \"required\": [\"a\", \"b\"]}}}][/AVAILABLE_TOOLS][INST]How is the weather in Paris?[/INST]"},
	"chatml-think":       {"user": "<|im_start|>user\nWho was Oppenheimer?<|im_end|>\n<|im_start|>assistant\n<|im_start|>think\n"},
	"gemma-instruct":     {"system": "<start_of_turn>user\nBe brief.\n\nWho was Oppenheimer?<end_of_turn>\n<start_of_turn>model\n"},
	"gemma-3":            {"turns": "<start_of_turn>user\nYou are a helpful assistant.\n\nHello, \"you\" & <them>!<end_of_turn>\n<start_of_turn>model\nHi there 😀<end_of_turn>\n<start_of_turn>user\nWho are you?\nSay it twice.<end_of_turn>\n<start_of_turn>model\nAn assistant.<end_of_turn>\n<start_of_turn>user\nDanke schön<end_of_turn>\n<start_of_turn>model\n"},
	"mistral-instruct":   {"system": "[INST] Be brief.\n\nWho was Oppenheimer? [/INST]"},
	"falcon3":            {"turns": "<|system|>\nYou are a helpful assistant.\n<|user|>\nHello, \"you\" & <them>!\n<|assistant|>\nHi there 😀<|endoftext|>\n<|user|>\nWho are you?\nSay it twice.\n<|assistant|>\nAn assistant.<|endoftext|>\n<|user|>\nDanke schön\n<|assistant|>\n"},
	"moxin-chat":         {"turns": "[INST] You are a helpful assistant.\n\nHello, \"you\" & <them>! [/INST] Hi there 😀</s> [INST] Who are you?\nSay it twice. [/INST] An assistant.</s> [INST] Danke schön [/INST]"},
	"moxin-instruct":     {"system": "<|system|>\nBe brief.\n<|user|>\nWho was Oppenheimer?\n<|assistant|>\n"},
	"exaone-deep-chat":   {"system": "[|system|]Be brief.[|endofturn|]\n[|user|]Who was Oppenheimer?\n[|assistant|]<thought>\n"},
	"minicpmv":           {"user": "<|im_start|>user\nWho was Oppenheimer?<|im_end|>\n<|im_start|>assistant\n"},
	"qwen2-vision":       {"user": "<|im_start|>user\nWho was Oppenheimer?<|im_end|>\n<|im_start|>assistant\n"},
	"seed-instruct":      {"system": "<[begin▁of▁sentence]>system\nBe brief.\n\n<[end▁of▁sentence]><[begin▁of▁sentence]>user\nWho was Oppenheimer?<[end▁of▁sentence]><[begin▁of▁sentence]>assistant\n"},
	"seed-reasoning":     {"user": "<[begin▁of▁sentence]>user\nWho was Oppenheimer?<[end▁of▁sentence]><[begin▁of▁sentence]>assistant\n"},
	"smol-vl":            {"system": "<|im_start|>System: Be brief.<end_of_utterance>\nUser: Who was Oppenheimer?<end_of_utterance>\nAssistant:"},
	"smol-vision":        {"user": "<|im_start|>User: Who was Oppenheimer?<end_of_utterance>\nAssistant:"},
}

func TestFormats(t *testing.T) {
	var conversations map[string]conversation
	readJSON(t, "conversations.json", &conversations)
	for name, prompts := range formats {
		for title, want := range prompts {
			t.Run(name+"/"+title, func(t *testing.T) {
				got, err := Find(name).Render(conversations[title].parse(t))
				if err != nil || got != want {
					t.Errorf("got:  %q, %v\nwant: %q", got, err, want)
				}
			})
		}
	}
}

func TestEveryTemplateHasAnExpectation(t *testing.T) {
	var golden map[string]map[string]string
	readJSON(t, "golden.json", &golden)
	for _, template := range templates {
		if len(golden[template.Name])+len(formats[template.Name]) == 0 {
			t.Errorf("%s has none", template.Name)
		}
		if len(template.Stops) == 0 {
			t.Errorf("%s has no stops", template.Name)
		}
	}
}

func TestNoMessages(t *testing.T) {
	for _, template := range templates {
		if _, err := template.Render(Conversation{}); err != ErrNoMessages {
			t.Errorf("%s: %v", template.Name, err)
		}
	}
}

// A prompt is made of any order of turns, and of calls without tools.
func TestAnyOrder(t *testing.T) {
	roles := []string{System, User, Assistant, ToolRole}
	for _, template := range templates {
		for _, first := range roles {
			for _, second := range roles {
				messages := []Message{{Role: first, Content: "one"}, {Role: second, ToolCalls: []ToolCall{{"id", "call", "{}"}}}}
				if _, err := template.Render(Conversation{Messages: messages}); err != nil {
					t.Errorf("%s: %s, %s: %v", template.Name, first, second, err)
				}
			}
		}
	}
}

func TestPyJSON(t *testing.T) {
	table := []struct {
		raw    string
		indent int
		want   string
	}{
		{`{"b":1,"a":[true,null,"x"]}`, 0, `{"b": 1, "a": [true, null, "x"]}`},
		{`{"b":{},"a":[]}`, 4, "{\n    \"b\": {},\n    \"a\": []\n}"},
		{`[{"a":1.50}]`, 2, "[\n  {\n    \"a\": 1.50\n  }\n]"},
		{`"<ä\u2028\n\u0001\/>"`, 0, "\"<ä\u2028\\n\\u0001/>\""},
		{`not JSON`, 0, `not JSON`},
	}
	for _, row := range table {
		if got := pyJSON([]byte(row.raw), row.indent); got != row.want {
			t.Errorf("%s: %q, want %q", row.raw, got, row.want)
		}
	}
}
