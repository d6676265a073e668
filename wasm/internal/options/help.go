package options

import (
	"fmt"
	"strings"
)

// HelpText is what --help prints: one row of the table after the other.
func HelpText(templates []string) string {
	var help strings.Builder
	help.WriteString("LlamaEdge API Server\n\n")
	help.WriteString("Usage: llama-api-server.wasm [OPTIONS]\n\nOptions:\n")
	for _, option := range Table(templates) {
		short := "    "
		if option.Short != "" {
			short = "-" + option.Short + ", "
		}
		text := option.Help
		if option.Default != "" {
			text += fmt.Sprintf(" [default: %s]", option.Default)
		}
		if len(option.Allowed) > 0 {
			text += fmt.Sprintf(" [possible values: %s]", strings.Join(option.Allowed, ", "))
		}
		fmt.Fprintf(&help, "  %s%s\n          %s\n", short, option.usage(), text)
	}
	return help.String()
}
