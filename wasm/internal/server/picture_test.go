package server

import (
	"strings"
	"testing"

	"llama-api-server/internal/nn/nntest"
)

const (
	gif       = "R0lGODlhAQABAAAAACwAAAAAAQABAAAC"
	gifInline = `<img src="data:image/gif;base64,` + gif + `">`
)

func TestPictures(t *testing.T) {
	table := []struct{ name, url, inline, failure string }{
		{"data URL", "data:image/gif;base64," + gif, gifInline, ""},
		{"base64 alone", gif, gifInline, ""},
		{"another type", "data:image/png;base64," + gif, gifInline, ""},
		{"parameters", "DATA:image/gif;charset=utf-8;BASE64," + gif, gifInline, ""},
		{"lines", "data:image/gif;base64," + gif[:8] + "\r\n" + gif[8:] + "\n", gifInline, ""},
		{"of URLs", "data:image/jpeg;base64,_9j_4A", `<img src="data:image/jpeg;base64,/9j/4A==">`, ""},
		{"padding", "data:image/jpeg;base64,/9j/4A==", `<img src="data:image/jpeg;base64,/9j/4A==">`, ""},
		{"address", "https://example.com/a.png", "", "the server fetches nothing"},
		{"address with a comma", "https://example.com/a,b.png", "", "the server fetches nothing"},
		{"path", "file:///etc/passwd", "", "the server fetches nothing"},
		{"text", "data:text/plain;base64," + gif, "", "must be given as"},
		{"not base64", "data:image/gif,GIF89a", "", "must be given as"},
		{"damaged", "data:image/gif;base64,R0lG!", "", "is damaged"},
		{"quote", `data:image/gif;base64,R0lG"><x`, "", "is damaged"},
		{"nothing", "", "", "An image is empty"},
		{"WebP", "data:image/webp;base64,UklGRiQAAABXRUJQVlA4IBgA", "", "An image is a file of the format WebP; PNG, JPEG, GIF and BMP can be read."},
		{"AVIF", "data:image/avif;base64,AAAAHGZ0eXBhdmlm", "", "the format AVIF"},
		{"SVG", "data:image/svg+xml;base64,PHN2Zy8+", "", "the format SVG"},
		{"unknown", "data:image/png;base64,AAAA", "", "of no format that is known"},
	}
	for _, row := range table {
		t.Run(row.name, func(t *testing.T) {
			inline, err := inlinePicture("messages[0].content", row.url)
			if inline != row.inline || (err == nil) != (row.failure == "") {
				t.Fatal(inline, err)
			}
			if err != nil && (!strings.Contains(err.Error(), row.failure) || asError(err).status != 400 || *asError(err).Param != "messages[0].content") {
				t.Errorf("%v", err)
			}
		})
	}
}

// Texts and images reach the model in the order of the parts.
func TestPicturesInTheirPlaces(t *testing.T) {
	graph := &nntest.Graph{Pieces: []string{"a"}}
	address := serve(t, graph, "-p", "chatml", "--llava-mmproj", "x")
	body := `{"messages":[{"role":"user","content":[{"type":"text","text":"one"},` +
		`{"type":"image_url","image_url":{"url":"` + gif + `"}},{"type":"text","text":"two"},` +
		`{"type":"image_url","image_url":{"url":"data:image/gif;base64,` + gif + `"}}]}]}`
	if got := do(t, "POST", address+"/v1/chat/completions", body); got.status != 200 {
		t.Fatal(got.status, got.body)
	}
	want := "user\none\n" + gifInline + "\ntwo\n" + gifInline + "<|im_end|>"
	if got := graph.Prompts[0]; !strings.Contains(got, want) {
		t.Errorf("%q is not in %q", want, got)
	}
}

func TestPicturesNeedAProjector(t *testing.T) {
	address := serve(t, &nntest.Graph{Pieces: []string{"a"}})
	body := `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"` + gif + `"}}]}]}`
	if got := do(t, "POST", address+"/v1/chat/completions", body); got.status != 400 || !strings.Contains(got.body, "--llava-mmproj") {
		t.Error(got.status, got.body)
	}
}
