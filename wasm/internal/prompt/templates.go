package prompt

import "llama-api-server/internal/answer"

// The formats that several templates share.
var (
	hermesCalls  = answer.Format{Open: "<tool_call>", Close: "</tool_call>"}
	llamaCalls   = answer.Format{Open: "<|python_tag|>", Whole: []string{"{"}, Keep: []string{"<|python_tag|>"}}
	mistralCalls = answer.Format{Open: "[TOOL_CALLS]", Whole: []string{"[{"}, Keep: []string{"[TOOL_CALLS]"}}

	chatml = turns{
		system:    affix{"<|im_start|>system\n", "<|im_end|>\n"},
		user:      affix{"<|im_start|>user\n", "<|im_end|>\n"},
		assistant: affix{"<|im_start|>assistant\n", "<|im_end|>\n"},
		tool:      affix{"<|im_start|>tool\n", "<|im_end|>\n"},
		cue:       "<|im_start|>assistant\n",
	}
	llama3 = turns{
		system:    affix{"<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"},
		user:      affix{"<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"},
		assistant: affix{"<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"},
		tool:      affix{"<|start_header_id|>ipython<|end_header_id|>\n\n", "<|eot_id|>"},
		cue:       "<|start_header_id|>assistant<|end_header_id|>\n\n",
		trim:      true,
	}
	llama2 = turns{
		system:    affix{"<<SYS>>\n", "\n<</SYS>>\n\n"},
		user:      affix{"[INST] ", " [/INST]"},
		later:     "<s>[INST] ",
		assistant: affix{" ", " </s>"},
		trim:      true,
		fold:      true,
	}
	gemma = turns{
		system:    affix{"", "\n\n"},
		user:      affix{"<start_of_turn>user\n", "<end_of_turn>\n"},
		assistant: affix{"<start_of_turn>model\n", "<end_of_turn>\n"},
		cue:       "<start_of_turn>model\n",
		trim:      true,
		fold:      true,
	}
	phi3 = turns{
		system:    affix{"<|system|>\n", "<|end|>\n"},
		user:      affix{"<|user|>\n", "<|end|>\n"},
		assistant: affix{"<|assistant|>\n", "<|end|>\n"},
		cue:       "<|assistant|>\n",
	}
	deepseek = turns{
		system:    affix{"", "\n\n"},
		user:      affix{"User: ", "\n\n"},
		assistant: affix{"Assistant: ", "<｜end▁of▁sentence｜>"},
		cue:       "Assistant:",
	}
	deepseek25 = turns{
		user:      affix{"<｜User｜>", ""},
		assistant: affix{"<｜Assistant｜>", "<｜end▁of▁sentence｜>"},
		cue:       "<｜Assistant｜>",
	}
	instruction = turns{
		system:    affix{"", "\n\n"},
		user:      affix{"### Instruction:\n", "\n\n"},
		assistant: affix{"### Response:\n", "\n\n"},
		cue:       "### Response:",
		otherwise: "Below is an instruction that describes a task. Write a response that appropriately completes the request.",
	}
	nemotron = turns{
		system:    affix{"<extra_id_0>System\n", "\n\n"},
		user:      affix{"<extra_id_1>User\n", "\n"},
		assistant: affix{"<extra_id_1>Assistant\n", "\n"},
		tool:      affix{"<extra_id_1>Tool\n", "\n"},
		cue:       "<extra_id_1>Assistant\n",
		trim:      true,
	}
)

const (
	vicunaSystem = "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the user's questions."
	llavaSystem  = "A chat between a curious human and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers to the human's questions."
)

// templates are the names of --prompt-template: first the ones of LlamaEdge's documents in
// their order, then the newer ones.
var templates = []*Template{
	{Name: "llama-2-chat", Stops: []string{"</s>"}, render: llama2.render},
	{Name: "llama-3-chat", Stops: []string{"<|eot_id|>", "<|end_of_text|>"}, render: llama3.render},
	{Name: "llama-3-tool", Stops: []string{"<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"}, Tools: true, Answer: llamaCalls, render: renderLlama3Tool},
	{Name: "mistral-instruct", Stops: []string{"</s>"}, render: turns{
		system:    affix{"", "\n\n"},
		user:      affix{"[INST] ", " [/INST]"},
		assistant: affix{"", "</s>"},
		fold:      true,
	}.render},
	{Name: "mistral-tool", Stops: []string{"</s>"}, Tools: true, Answer: mistralCalls, render: mistralTool{
		tools: affix{"[AVAILABLE_TOOLS] ", "[/AVAILABLE_TOOLS]"}, user: affix{"[INST] ", "[/INST]"},
		calls: "[TOOL_CALLS] ", assistant: affix{" ", "</s>"}, results: affix{"[TOOL_RESULTS] ", "[/TOOL_RESULTS]"},
	}.render},
	{Name: "mistrallite", Stops: []string{"</s>"}, render: turns{
		system:    affix{"", "\n\n"},
		user:      affix{"<|prompter|>", "</s>"},
		assistant: affix{"<|assistant|>", "</s>"},
		cue:       "<|assistant|>",
		fold:      true,
	}.render},
	{Name: "openchat", Stops: []string{"<|end_of_turn|>"}, render: turns{
		system:    affix{"GPT4 Correct System: ", "<|end_of_turn|>"},
		user:      affix{"GPT4 Correct User: ", "<|end_of_turn|>"},
		assistant: affix{"GPT4 Correct Assistant: ", "<|end_of_turn|>"},
		cue:       "GPT4 Correct Assistant:",
	}.render},
	{Name: "codellama-instruct", Stops: []string{"</s>"}, render: llama2.render},
	{Name: "codellama-super-instruct", Stops: []string{"<step>", "</s>"}, render: turns{
		system:    affix{"Source: system\n\n ", " <step> "},
		user:      affix{"Source: user\n\n ", " <step> "},
		assistant: affix{"Source: assistant\n\n ", " <step> "},
		cue:       "Source: assistant\nDestination: user\n\n ",
		trim:      true,
	}.render},
	{Name: "human-assistant", Stops: []string{"</s>", "Human:"}, render: turns{
		system:    affix{"", "\n\n"},
		user:      affix{"Human: ", "\n\n"},
		assistant: affix{"Assistant:", ""},
		cue:       "Assistant:",
	}.render},
	{Name: "vicuna-1.0-chat", Stops: []string{"</s>", "USER:"}, render: turns{
		user:      affix{" USER: ", ""},
		assistant: affix{" ASSISTANT: ", ""},
		cue:       " ASSISTANT:",
		otherwise: vicunaSystem,
		trim:      true,
	}.render},
	{Name: "vicuna-1.1-chat", Stops: []string{"</s>", "USER:"}, render: turns{
		system:    affix{"", " "},
		user:      affix{"USER: ", " "},
		assistant: affix{"ASSISTANT: ", "</s>"},
		cue:       "ASSISTANT:",
		otherwise: vicunaSystem,
	}.render},
	{Name: "vicuna-llava", Stops: []string{"</s>", "USER:"}, render: turns{
		system:    affix{"", " "},
		user:      affix{"USER: ", " "},
		assistant: affix{"ASSISTANT: ", "</s>"},
		cue:       "ASSISTANT:",
		otherwise: llavaSystem,
	}.render},
	{Name: "chatml", Stops: []string{"<|im_end|>"}, render: chatml.render},
	{Name: "chatml-tool", Stops: []string{"<|im_end|>"}, Tools: true, Answer: hermesCalls, render: renderHermes},
	{Name: "internlm-2-tool", Stops: []string{"<|im_end|>"}, Tools: true, Answer: answer.Format{
		Open: "<|action_start|><|plugin|>", Close: "<|action_end|>",
		Keep: []string{"<|action_start|>", "<|plugin|>", "<|action_end|>"},
	}, render: renderInternLM2},
	{Name: "baichuan-2", Stops: []string{"</s>", "<reserved_106>"}, render: turns{
		user:      affix{"<reserved_106>", ""},
		assistant: affix{"<reserved_107>", ""},
		cue:       "<reserved_107>",
	}.render},
	{Name: "wizard-coder", Stops: []string{"<|endoftext|>", "### Instruction:"}, render: instruction.render},
	{Name: "zephyr", Stops: []string{"</s>"}, render: turns{
		system:    affix{"<|system|>\n", "</s>\n"},
		user:      affix{"<|user|>\n", "</s>\n"},
		assistant: affix{"<|assistant|>\n", "</s>\n"},
		cue:       "<|assistant|>\n",
	}.render},
	{Name: "stablelm-zephyr", Stops: []string{"<|endoftext|>"}, render: turns{
		system:    affix{"<|system|>\n", "<|endoftext|>\n"},
		user:      affix{"<|user|>\n", "<|endoftext|>\n"},
		assistant: affix{"<|assistant|>\n", "<|endoftext|>\n"},
		cue:       "<|assistant|>\n",
	}.render},
	{Name: "intel-neural", Stops: []string{"</s>", "### User:"}, render: turns{
		system:    affix{"### System:\n", "\n"},
		user:      affix{"### User:\n", "\n"},
		assistant: affix{"### Assistant:\n", "\n"},
		cue:       "### Assistant:\n",
		otherwise: "You are a chatbot developed by Intel. Please answer all questions to the best of your ability.",
		trim:      true,
	}.render},
	{Name: "deepseek-chat", Stops: []string{"<｜end▁of▁sentence｜>"}, render: deepseek.render},
	{Name: "deepseek-coder", Stops: []string{"<|EOT|>"}, render: turns{
		user:      affix{"### Instruction:\n", "\n"},
		assistant: affix{"### Response:\n", "\n<|EOT|>\n"},
		cue:       "### Response:\n",
		otherwise: "You are an AI programming assistant, utilizing the Deepseek Coder model, developed by Deepseek Company, and you only answer questions related to computer science. For politically sensitive questions, security and privacy issues, and other non-computer science questions, you will refuse to answer\n",
	}.render},
	{Name: "deepseek-chat-2", Stops: []string{"<｜end▁of▁sentence｜>"}, render: deepseek.render},
	{Name: "deepseek-chat-25", Stops: []string{"<｜end▁of▁sentence｜>"}, render: deepseek25.render},
	{Name: "solar-instruct", Stops: []string{"</s>", "### User:"}, render: turns{
		system:    affix{"### System:\n", "\n\n"},
		user:      affix{"### User:\n", "\n\n"},
		assistant: affix{"### Assistant:\n", "\n\n"},
		cue:       "### Assistant:\n",
	}.render},
	{Name: "phi-2-chat", Stops: []string{"<|endoftext|>", "\nAlice:"}, render: turns{
		system:    affix{"", "\n"},
		user:      affix{"Alice: ", "\n"},
		assistant: affix{"Bob: ", "\n"},
		cue:       "Bob:",
	}.render},
	{Name: "phi-2-instruct", Stops: []string{"<|endoftext|>", "\nInstruct:"}, render: turns{
		system:    affix{"", "\n"},
		user:      affix{"Instruct: ", "\n"},
		assistant: affix{"Output: ", "\n"},
		cue:       "Output:",
	}.render},
	{Name: "phi-3-chat", Stops: []string{"<|end|>", "<|endoftext|>"}, render: phi3.render},
	{Name: "phi-3-instruct", Stops: []string{"<|end|>", "<|endoftext|>"}, render: phi3.mute().render},
	{Name: "gemma-instruct", Stops: []string{"<end_of_turn>"}, render: gemma.render},
	{Name: "octopus", Stops: []string{"<nexa_end>"}, render: turns{
		system:    affix{"", "\n\n"},
		user:      affix{"Query: ", " \n\n"},
		assistant: affix{"Response: ", "\n\n"},
		cue:       "Response:",
		otherwise: "Below is the query from the users, please call the correct function and generate the parameters to call the function.",
	}.render},
	{Name: "glm-4-chat", Stops: []string{"<|user|>", "<|observation|>", "<|endoftext|>"}, render: turns{
		start:     "[gMASK]<sop>",
		system:    affix{"<|system|>\n", ""},
		user:      affix{"<|user|>\n", ""},
		assistant: affix{"<|assistant|>\n", ""},
		tool:      affix{"<|observation|>\n", ""},
		cue:       "<|assistant|>\n",
	}.render},
	{Name: "groq-llama3-tool", Stops: []string{"<|eot_id|>", "<|end_of_text|>"}, Tools: true, Answer: hermesCalls, render: renderGroq},
	{Name: "mediatek-breeze", Stops: []string{"</s>"}, render: turns{
		system:    affix{"", "  "},
		user:      affix{"[INST] ", " [/INST] "},
		assistant: affix{"", " "},
		otherwise: "You are a helpful AI assistant built by MediaTek Research. The user you are helping speaks Traditional Chinese and comes from Taiwan.",
		trim:      true,
	}.render},
	{Name: "nemotron-chat", Stops: []string{"<extra_id_1>"}, render: renderNemotron},
	{Name: "nemotron-tool", Stops: []string{"<extra_id_1>"}, Tools: true, Answer: answer.Format{Open: "<toolcall>", Close: "</toolcall>"}, render: renderNemotron},
	{Name: "functionary-32", Stops: []string{"<|eot_id|>", "<|end_of_text|>"}, Tools: true, Answer: answer.Format{Reader: answer.Functionary}, render: renderFunctionary32},
	{Name: "functionary-31", Stops: []string{"<|eot_id|>", "<|eom_id|>", "<|end_of_text|>"}, Tools: true, Answer: answer.Format{
		Open: "<function=", Close: "</function>", Head: answer.FunctionTagHead,
	}, render: renderFunctionary31},

	{Name: "llama-4-chat", Stops: []string{"<|eot|>", "<|eom|>"}, render: turns{
		system:    affix{"<|header_start|>system<|header_end|>\n\n", "<|eot|>"},
		user:      affix{"<|header_start|>user<|header_end|>\n\n", "<|eot|>"},
		assistant: affix{"<|header_start|>assistant<|header_end|>\n\n", "<|eot|>"},
		tool:      affix{"<|header_start|>ipython<|header_end|>\n\n", "<|eot|>"},
		cue:       "<|header_start|>assistant<|header_end|>\n\n",
		trim:      true,
	}.render},
	{Name: "mistral-small-chat", Stops: []string{"</s>"}, render: mistralSmall.render},
	{Name: "mistral-small-tool", Stops: []string{"</s>"}, Tools: true, Answer: mistralCalls, render: mistralSmall.render},
	{Name: "chatml-think", Stops: []string{"<|im_end|>"}, Thinks: true, Answer: answer.Format{
		Think: [2]string{"<|im_start|>think", "<|im_start|>answer"}, Keep: []string{"<|im_start|>"},
	}, render: chatml.with("<|im_start|>think\n").render},
	{Name: "deepseek-chat-3", Stops: []string{"<｜end▁of▁sentence｜>"}, render: deepseek25.render},
	{Name: "phi-4-chat", Stops: []string{"<|im_end|>"}, render: turns{
		system:    affix{"<|im_start|>system<|im_sep|>", "<|im_end|>"},
		user:      affix{"<|im_start|>user<|im_sep|>", "<|im_end|>"},
		assistant: affix{"<|im_start|>assistant<|im_sep|>", "<|im_end|>"},
		cue:       "<|im_start|>assistant<|im_sep|>",
	}.render},
	{Name: "gemma-3", Stops: []string{"<end_of_turn>"}, render: gemma.render},
	{Name: "falcon3", Stops: []string{"<|endoftext|>", "<|user|>"}, render: turns{
		system:    affix{"<|system|>\n", "\n"},
		user:      affix{"<|user|>\n", "\n"},
		assistant: affix{"<|assistant|>\n", "<|endoftext|>\n"},
		cue:       "<|assistant|>\n",
	}.render},
	{Name: "megrez", Stops: []string{"<|turn_end|>"}, render: turns{
		system:    affix{"<|role_start|>system<|role_end|>", "<|turn_end|>"},
		user:      affix{"<|role_start|>user<|role_end|>", "<|turn_end|>"},
		assistant: affix{"<|role_start|>assistant<|role_end|>", "<|turn_end|>"},
		tool:      affix{"<|role_start|>tool<|role_end|>", "<|turn_end|>"},
		cue:       "<|role_start|>assistant<|role_end|>",
		otherwise: "你是Megrez-3B-Instruct，将针对用户的问题给出详细的、积极的回答。",
	}.render},
	{Name: "moxin-chat", Stops: []string{"</s>"}, render: turns{
		system:    affix{"", "\n\n"},
		user:      affix{"[INST] ", " [/INST]"},
		later:     " [INST] ",
		assistant: affix{" ", "</s>"},
		trim:      true,
		fold:      true,
	}.render},
	{Name: "moxin-instruct", Stops: []string{"<|endoftext|>"}, render: turns{
		system:    affix{"<|system|>\n", "\n"},
		user:      affix{"<|user|>\n", "\n"},
		assistant: affix{"<|assistant|>\n", "<|endoftext|>\n"},
		cue:       "<|assistant|>\n",
	}.render},
	{Name: "exaone-chat", Stops: []string{"[|endofturn|]"}, render: exaone.render},
	{Name: "exaone-deep-chat", Stops: []string{"[|endofturn|]"}, Thinks: true, Answer: answer.Format{Think: [2]string{"<thought>", "</thought>"}}, render: exaone.with("<thought>\n").render},
	{Name: "minicpmv", Stops: []string{"<|im_end|>"}, render: chatml.render},
	{Name: "qwen2-vision", Stops: []string{"<|im_end|>"}, render: chatml.render},
	{Name: "qwen3-no-think", Stops: []string{"<|im_end|>"}, Tools: true, Answer: hermesCalls, render: qwen3{cue: "<think>\n\n</think>\n\n"}.render},
	{Name: "qwen3-agent", Stops: []string{"<|im_end|>"}, Tools: true, Answer: hermesCalls, render: qwen3{}.render},
	{Name: "seed-instruct", Stops: []string{"<[end▁of▁sentence]>"}, render: turns{
		system:    affix{"<[begin▁of▁sentence]>system\n", "\n\n<[end▁of▁sentence]>"},
		user:      affix{"<[begin▁of▁sentence]>user\n", "<[end▁of▁sentence]>"},
		assistant: affix{"<[begin▁of▁sentence]>assistant\n", "<[end▁of▁sentence]>"},
		cue:       "<[begin▁of▁sentence]>assistant\n",
		otherwise: "You are an AI programming assistant, utilizing the Seed-Coder model, developed by ByteDance Seed, and you only answer questions related to computer science. For politically sensitive questions, security and privacy issues, and other non-computer science questions, you will refuse to answer.",
		trim:      true,
	}.render},
	{Name: "seed-reasoning", Stops: []string{"<[end▁of▁sentence]>"}, render: turns{
		system:    affix{"<[begin▁of▁sentence]>system\n", "\n\n<[end▁of▁sentence]>"},
		user:      affix{"<[begin▁of▁sentence]>user\n", "<[end▁of▁sentence]>"},
		assistant: affix{"<[begin▁of▁sentence]>assistant\n", "<[end▁of▁sentence]>"},
		cue:       "<[begin▁of▁sentence]>assistant\n",
		trim:      true,
	}.render},
	{Name: "seed-oss-think", Stops: []string{"<seed:eos>"}, Answer: seedAnswers, render: seedOSS{}.render},
	{Name: "seed-oss-no-think", Stops: []string{"<seed:eos>"}, Answer: seedAnswers, render: seedOSS{silent: true}.render},
	{Name: "smol3-no-think", Stops: []string{"<|im_end|>"}, render: renderSmol3},
	{Name: "smol-vl", Stops: []string{"<end_of_utterance>"}, render: smolVision.render},
	{Name: "smol-vision", Stops: []string{"<end_of_utterance>"}, render: smolVision.render},
	{Name: "gpt-oss", Stops: []string{"<|return|>", "<|call|>"}, Tools: true, Answer: answer.Format{
		Keep: answer.HarmonyTokens, Reader: answer.Harmony, Think: answer.HarmonyTags,
	}, render: renderHarmony},
}

var (
	exaone = turns{
		system:    affix{"[|system|]", "[|endofturn|]\n"},
		user:      affix{"[|user|]", "\n"},
		assistant: affix{"[|assistant|]", "[|endofturn|]\n"},
		cue:       "[|assistant|]",
		otherwise: " ",
		trim:      true,
	}
	smolVision = turns{
		start:     "<|im_start|>",
		system:    affix{"System: ", "<end_of_utterance>\n"},
		user:      affix{"User: ", "<end_of_utterance>\n"},
		assistant: affix{"Assistant: ", "<end_of_utterance>\n"},
		cue:       "Assistant:",
	}
)

// with is the same format with more text at the start of the answer.
func (t turns) with(more string) turns {
	t.cue += more
	return t
}

// mute is the same format for a model that was taught no system turn.
func (t turns) mute() turns {
	t.silent = true
	return t
}
