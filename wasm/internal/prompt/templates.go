package prompt

var templates = []*Template{
	{
		Name:  "llama-3-chat",
		Stops: []string{"<|eot_id|>", "<|end_of_text|>"},
		render: turns{
			system:    affix{"<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"},
			user:      affix{"<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"},
			assistant: affix{"<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"},
			tool:      affix{"<|start_header_id|>ipython<|end_header_id|>\n\n", "<|eot_id|>"},
			cue:       "<|start_header_id|>assistant<|end_header_id|>\n\n",
			trim:      true,
		}.render,
	},
	{
		Name:  "chatml",
		Stops: []string{"<|im_end|>"},
		render: turns{
			system:    affix{"<|im_start|>system\n", "<|im_end|>\n"},
			user:      affix{"<|im_start|>user\n", "<|im_end|>\n"},
			assistant: affix{"<|im_start|>assistant\n", "<|im_end|>\n"},
			tool:      affix{"<|im_start|>tool\n", "<|im_end|>\n"},
			cue:       "<|im_start|>assistant\n",
		}.render,
	},
}
