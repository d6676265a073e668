package server

import (
	"io/fs"
	"os"
	"path"
	"strings"

	"llama-api-server/internal/http1"
)

// contentTypes are the types of the web UI's files by their names' ends.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
	".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
	".json": "application/json", ".map": "application/json", ".webmanifest": "application/manifest+json",
	".txt": "text/plain; charset=utf-8", ".svg": "image/svg+xml", ".png": "image/png",
	".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
	".ico": "image/x-icon", ".woff": "font/woff", ".woff2": "font/woff2", ".ttf": "font/ttf",
	".wasm": "application/wasm",
}

// static answers with a file of the web UI, or with its 404.html, and tells whether it did. A
// path cannot leave the UI's folder, by links neither.
func (s *Server) static(w *http1.Response, r *http1.Request) bool {
	if (r.Method != "GET" && r.Method != "HEAD") || strings.HasPrefix(r.Path, "/v1/") {
		return false
	}
	root, err := os.OpenRoot(s.Options.WebUI)
	if err != nil {
		return false
	}
	defer root.Close()
	name := strings.TrimPrefix(path.Clean("/"+r.Path), "/")
	if name == "" {
		name = "index.html"
	}
	if body, err := fs.ReadFile(root.FS(), name); err == nil {
		kind := contentTypes[strings.ToLower(path.Ext(name))]
		if kind == "" {
			kind = "application/octet-stream"
		}
		w.Send(200, kind, body)
		return true
	}
	if body, err := fs.ReadFile(root.FS(), "404.html"); err == nil {
		w.Send(404, contentTypes[".html"], body)
		return true
	}
	return false
}
