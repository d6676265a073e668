package answer

// FirstCall reads what another reader reads, but of several calls only the first.
func FirstCall(reader Reader) Reader { return &firstCall{reader: reader} }

type firstCall struct {
	reader Reader
	calls  int
}

func (f *firstCall) Push(text string) []Part { return f.keep(f.reader.Push(text)) }

func (f *firstCall) Flush() []Part { return f.keep(f.reader.Flush()) }

func (f *firstCall) keep(parts []Part) []Part {
	var kept []Part
	for _, part := range parts {
		if part.Call != nil {
			f.calls++
		}
		if f.calls < 2 || part.Call == nil && part.Arguments == "" {
			kept = append(kept, part)
		}
	}
	return kept
}
