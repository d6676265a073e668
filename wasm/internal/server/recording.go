package server

import "strings"

// recordingStart begins a recording in a prompt; the host goes by the file's first bytes.
const recordingStart = `<audio src="data:audio/wav;base64,`

// inputAudio is a recording as OpenAI's clients send it.
type inputAudio struct {
	Data   string `json:"data"`
	Format string `json:"format"`
}

// base64 is the recording as the host takes it: the base64 alone, or that of a data: URL. Whether
// it is a WAV, an MP3 or a FLAC file, and how long, the host finds out.
func (a *inputAudio) base64(param string) (string, error) {
	text := a.Data
	if head, data, found := strings.Cut(text, ","); found {
		head = strings.ToLower(head)
		if !strings.HasPrefix(head, "data:audio/") || !strings.HasSuffix(head, ";base64") {
			return "", invalid(param, "A recording must be given as its base64; the server fetches nothing.")
		}
		text = data
	}
	text, err := asHostReads(text)
	switch {
	case err != nil:
		return "", invalid(param, "The base64 of a recording is damaged.")
	case text == "":
		return "", invalid(param, "A recording is empty.")
	}
	return text, nil
}
