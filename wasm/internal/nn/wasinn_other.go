//go:build !wasip1

package nn

// Load has no host to ask outside of WebAssembly.
func Load(name, config string) (Graph, error) {
	return nil, NotFound
}
