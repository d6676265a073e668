package server

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// pictures are the formats the host reads and how a file of each begins.
var pictures = []struct{ format, start string }{
	{"png", "\x89PNG\r\n\x1a\n"}, {"jpeg", "\xff\xd8"}, {"gif", "GIF8"}, {"bmp", "BM"},
}

// others are formats that the host does not read, with where what tells them lies in a file.
var others = []struct {
	name string
	at   int
	mark string
}{
	{"WebP", 8, "WEBP"}, {"AVIF", 4, "ftypavif"}, {"HEIF", 4, "ftyp"}, {"TIFF", 0, "II*\x00"}, {"TIFF", 0, "MM\x00*"},
	{"SVG", 0, "<svg"}, {"XML", 0, "<?xml"}, {"PDF", 0, "%PDF"},
}

// pictureStart begins a picture in a prompt.
const pictureStart = `<img src="data:image/`

// pictureURL is the data: URL in the form that inlinePicture makes.
func pictureURL(inline string) (string, bool) {
	if !strings.HasPrefix(inline, pictureStart) {
		return "", false
	}
	return strings.TrimSuffix(strings.TrimPrefix(inline, `<img src="`), `">`), true
}

// beginning is as much base64 as tells a file's format.
const beginning = 32

var plain = strings.NewReplacer("-", "+", "_", "/", " ", "", "\r", "", "\n", "")

// inlinePicture is the form that the host reads of an image given as a data: URL or, as the
// official server takes it, as its base64 alone.
func inlinePicture(param, url string) (string, error) {
	head, text, found := strings.Cut(url, ",")
	switch head = strings.ToLower(head); {
	case !found && !strings.Contains(url, ":"):
		text = url
	case !strings.HasPrefix(head, "data:image/") || !strings.HasSuffix(head, ";base64"):
		return "", invalid(param, "An image must be given as 'data:image/...;base64,...'; the server fetches nothing.")
	}
	text, err := asHostReads(text)
	if err != nil {
		return "", invalid(param, "The base64 of an image is damaged.")
	}
	file, _ := base64.StdEncoding.DecodeString(text[:min(len(text), beginning)])
	for _, known := range pictures {
		if bytes.HasPrefix(file, []byte(known.start)) {
			return pictureStart + known.format + `;base64,` + text + `">`, nil
		}
	}
	return "", invalid(param, "An image is %s; PNG, JPEG, GIF and BMP can be read.", described(file))
}

// asHostReads is base64 as the host takes it; its error is that it is none.
func asHostReads(text string) (string, error) {
	if canonical(text) {
		return text, nil
	}
	file, err := base64.RawStdEncoding.DecodeString(plain.Replace(strings.TrimRight(text, "= \r\n")))
	return base64.StdEncoding.EncodeToString(file), err
}

// canonical tells whether text is base64 as the host takes it; most clients write it so.
func canonical(text string) bool {
	body := strings.TrimRight(text, "=")
	if len(text)%4 != 0 || len(text)-len(body) > 2 {
		return false
	}
	for i := range len(body) {
		if !inAlphabet[body[i]] {
			return false
		}
	}
	return true
}

var inAlphabet = func() (known [256]bool) {
	for _, char := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/") {
		known[char] = true
	}
	return
}()

// described tells what a file that is no picture is instead, as far as its beginning tells.
func described(file []byte) string {
	if len(file) == 0 {
		return "empty"
	}
	for _, other := range others {
		if bytes.HasPrefix(file[min(len(file), other.at):], []byte(other.mark)) {
			return "a file of the format " + other.name
		}
	}
	return "of no format that is known"
}
