package server

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Levels are the values of LLAMA_LOG, the most talkative first.
var Levels = []string{"trace", "debug", "info", "warn", "error"}

// Logger writes lines such as "[INFO] text", from its level on.
type Logger struct {
	// Prompts and Stats are logged at info where they are set, else at debug.
	Prompts bool
	Stats   bool

	out   io.Writer
	level int
}

// NewLogger logs to out from level on, or from info on where there is no such level.
func NewLogger(out io.Writer, level string) *Logger {
	index := slices.Index(Levels, strings.ToLower(level))
	if index < 0 {
		index = slices.Index(Levels, "info")
	}
	return &Logger{out: out, level: index}
}

// Enabled tells whether lines of level are written.
func (l *Logger) Enabled(level string) bool { return slices.Index(Levels, level) >= l.level }

// Log writes one line, whatever the values hold that clients may have chosen.
func (l *Logger) Log(level, format string, values ...any) {
	if l.Enabled(level) {
		fmt.Fprintf(l.out, "[%s] %s\n", strings.ToUpper(level), oneLine(fmt.Sprintf(format, values...)))
	}
}

// oneLine is text with what ends lines, or moves a terminal's cursor, as Go writes it in quotes.
func oneLine(text string) string {
	var line strings.Builder
	for _, char := range text {
		if unicode.IsControl(char) || char == '\u2028' || char == '\u2029' {
			quoted := strconv.QuoteRune(char)
			line.WriteString(quoted[1 : len(quoted)-1])
		} else {
			line.WriteRune(char)
		}
	}
	return line.String()
}

// Info writes one line of level info.
func (l *Logger) Info(format string, values ...any) { l.Log("info", format, values...) }

// Prompt logs what a model is given.
func (l *Logger) Prompt(text string) { l.Log(levelOf(l.Prompts), "prompt: %s", text) }

// Statistics logs how long an answer took.
func (l *Logger) Statistics(result outcome) {
	rest := result.ended.Sub(result.first).Seconds()
	speed := 0.0
	if result.completion > 1 && rest > 0 {
		speed = float64(result.completion-1) / rest
	}
	l.Log(levelOf(l.Stats), "prompt: %d tokens in %.3f s; answer: %d tokens, %.1f a second",
		result.prompt, result.first.Sub(result.began).Seconds(), result.completion, speed)
}

func levelOf(wanted bool) string {
	if wanted {
		return "info"
	}
	return "debug"
}
