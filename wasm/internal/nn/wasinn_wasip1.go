package nn

import (
	"encoding/binary"
	"runtime"
	"unsafe"
)

// loadByNameWithConfig and its fellows are WasmEdge's functions; each answers an Errno.
//
//go:wasmimport wasi_ephemeral_nn load_by_name_with_config
//go:noescape
func loadByNameWithConfig(name unsafe.Pointer, nameLen uint32, config unsafe.Pointer, configLen uint32, graph unsafe.Pointer) uint32

//go:wasmimport wasi_ephemeral_nn init_execution_context
//go:noescape
func initExecutionContext(graph uint32, context unsafe.Pointer) uint32

//go:wasmimport wasi_ephemeral_nn set_input
//go:noescape
func setInput(context uint32, index uint32, tensor unsafe.Pointer) uint32

//go:wasmimport wasi_ephemeral_nn compute
func compute(context uint32) uint32

//go:wasmimport wasi_ephemeral_nn compute_single
func computeSingle(context uint32) uint32

//go:wasmimport wasi_ephemeral_nn fini_single
func finiSingle(context uint32) uint32

//go:wasmimport wasi_ephemeral_nn get_output
//go:noescape
func getOutput(context uint32, index uint32, buffer unsafe.Pointer, size uint32, written unsafe.Pointer) uint32

//go:wasmimport wasi_ephemeral_nn get_output_single
//go:noescape
func getOutputSingle(context uint32, index uint32, buffer unsafe.Pointer, size uint32, written unsafe.Pointer) uint32

// The types of tensors: text is bytes, tokens are numbers.
const (
	tensorU8  = 3
	tensorI32 = 4
)

// tensor is wasi-nn's record of 20 bytes.
type tensor struct {
	dimensions, dimensionsLen uint32
	kind                      uint32
	data, dataLen             uint32
}

// scratch takes every output before it is copied to its size. Hosts before WasmEdge 0.14
// ignore the size they are told, so it is as large as the largest output they make.
var scratch = new([256 << 10]byte)

type graph uint32

type context uint32

// Load asks the host for the preloaded model called name, set up with config (JSON).
func Load(name, config string) (Graph, error) {
	handle := new(uint32)
	err := check(loadByNameWithConfig(
		unsafe.Pointer(unsafe.StringData(name)), uint32(len(name)),
		unsafe.Pointer(unsafe.StringData(config)), uint32(len(config)),
		unsafe.Pointer(handle)))
	return graph(*handle), err
}

func (g graph) NewContext() (Context, error) {
	handle := new(uint32)
	err := check(initExecutionContext(uint32(g), unsafe.Pointer(handle)))
	return context(*handle), err
}

func (c context) SetInput(index uint32, data []byte) error {
	return c.setInput(index, tensorU8, data)
}

func (c context) SetTokens(tokens []int32) error {
	var data []byte
	for _, token := range tokens {
		data = binary.LittleEndian.AppendUint32(data, uint32(token))
	}
	return c.setInput(Text, tensorI32, data)
}

func (c context) setInput(index, kind uint32, data []byte) error {
	dimension := new(uint32)
	*dimension = 1
	if len(data) == 0 {
		data = make([]byte, 1)[:0]
	}
	var pinned runtime.Pinner
	pinned.Pin(dimension)
	pinned.Pin(unsafe.SliceData(data))
	defer pinned.Unpin()
	input := &tensor{
		dimensions: address(unsafe.Pointer(dimension)), dimensionsLen: 1,
		kind: kind,
		data: address(unsafe.Pointer(unsafe.SliceData(data))), dataLen: uint32(len(data)),
	}
	return check(setInput(uint32(c), index, unsafe.Pointer(input)))
}

func (c context) Compute() error       { return check(compute(uint32(c))) }
func (c context) ComputeSingle() error { return check(computeSingle(uint32(c))) }
func (c context) FiniSingle() error    { return check(finiSingle(uint32(c))) }

func (c context) Output(index uint32) ([]byte, error) {
	return c.read(getOutput, index)
}

func (c context) OutputSingle(index uint32) ([]byte, error) {
	return c.read(getOutputSingle, index)
}

func (c context) read(
	call func(context, index uint32, buffer unsafe.Pointer, size uint32, written unsafe.Pointer) uint32,
	index uint32,
) ([]byte, error) {
	written := new(uint32)
	buffer := scratch[:]
	errno := Errno(call(uint32(c), index, unsafe.Pointer(&buffer[0]), uint32(len(buffer)), unsafe.Pointer(written)))
	if errno == TooLarge && *written > uint32(len(buffer)) {
		buffer = make([]byte, *written)
		errno = Errno(call(uint32(c), index, unsafe.Pointer(&buffer[0]), uint32(len(buffer)), unsafe.Pointer(written)))
	}
	if errno != 0 {
		return nil, errno
	}
	return append([]byte(nil), buffer[:min(int(*written), len(buffer))]...), nil
}

func address(pointer unsafe.Pointer) uint32 { return uint32(uintptr(pointer)) }

func check(errno uint32) error {
	if errno != 0 {
		return Errno(errno)
	}
	return nil
}
