"""Chat templates: a conversation becomes the prompt that a model was trained on."""
