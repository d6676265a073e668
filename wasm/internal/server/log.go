package server

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Levels are the values of LLAMA_LOG, the most talkative first.
var Levels = []string{"trace", "debug", "info", "warn", "error"}

// Logger writes lines such as "[INFO] text", from its level on.
type Logger struct {
	out   io.Writer
	level int
}

// NewLogger logs to out from level on, or from info on where there is no such level.
func NewLogger(out io.Writer, level string) *Logger {
	index := slices.Index(Levels, strings.ToLower(level))
	if index < 0 {
		index = slices.Index(Levels, "info")
	}
	return &Logger{out, index}
}

// Enabled tells whether lines of level are written.
func (l *Logger) Enabled(level string) bool { return slices.Index(Levels, level) >= l.level }

// Log writes one line.
func (l *Logger) Log(level, format string, values ...any) {
	if l.Enabled(level) {
		fmt.Fprintf(l.out, "[%s] %s\n", strings.ToUpper(level), fmt.Sprintf(format, values...))
	}
}

// Info writes one line of level info.
func (l *Logger) Info(format string, values ...any) { l.Log("info", format, values...) }
