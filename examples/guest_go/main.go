// A guest of one's own in Go: completes the text of its arguments with the model preloaded as
// "default", token by token. examples/README.md says how to build and run it.
package main

import (
	"fmt"
	"os"
	"strings"
	"unsafe"
)

//go:wasmimport wasi_ephemeral_nn load_by_name_with_config
func load(name unsafe.Pointer, nameLen uint32, config unsafe.Pointer, configLen uint32, graph unsafe.Pointer) uint32

//go:wasmimport wasi_ephemeral_nn init_execution_context
func initContext(graph uint32, context unsafe.Pointer) uint32

//go:wasmimport wasi_ephemeral_nn set_input
func setInput(context, index uint32, tensor unsafe.Pointer) uint32

//go:wasmimport wasi_ephemeral_nn compute_single
func computeSingle(context uint32) uint32

//go:wasmimport wasi_ephemeral_nn get_output_single
func getOutputSingle(context, index uint32, buffer unsafe.Pointer, size uint32, written unsafe.Pointer) uint32

//go:wasmimport wasi_ephemeral_nn fini_single
func finiSingle(context uint32) uint32

const (
	config        = `{"ctx-size": 512, "temp": 0}`
	most          = 24  // tokens; the metadata's n-predict is for compute, not for compute_single
	u8            = 3   // the type of a tensor of bytes
	endOfSequence = 100 // WasmEdge's errnos past the standard's
	contextFull   = 101
)

// tensor is what set_input reads: addresses of the guest's memory, of 32 bits.
type tensor struct {
	dimensions, dimensionCount, kind, data, size uint32
}

func main() {
	prompt := []byte(strings.Join(os.Args[1:], " "))
	if len(prompt) == 0 {
		fmt.Fprintln(os.Stderr, "usage: guest TEXT")
		os.Exit(2)
	}
	var graph, context uint32
	name := []byte("default")
	settings := []byte(config)
	check("load", load(unsafe.Pointer(&name[0]), uint32(len(name)), unsafe.Pointer(&settings[0]), uint32(len(settings)), unsafe.Pointer(&graph)))
	check("init_execution_context", initContext(graph, unsafe.Pointer(&context)))
	input := tensor{kind: u8, data: uint32(uintptr(unsafe.Pointer(&prompt[0]))), size: uint32(len(prompt))}
	check("set_input", setInput(context, 0, unsafe.Pointer(&input)))
	piece := make([]byte, 256)
	for range most {
		errno := computeSingle(context)
		if errno == endOfSequence || errno == contextFull {
			break
		}
		check("compute_single", errno)
		var written uint32
		check("get_output_single", getOutputSingle(context, 0, unsafe.Pointer(&piece[0]), uint32(len(piece)), unsafe.Pointer(&written)))
		os.Stdout.Write(piece[:written])
	}
	check("fini_single", finiSingle(context))
}

func check(call string, errno uint32) {
	if errno != 0 {
		fmt.Fprintf(os.Stderr, "%s: errno %d\n", call, errno)
		os.Exit(1)
	}
}
