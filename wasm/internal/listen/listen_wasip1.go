// Package listen opens a listening socket through WasmEdge's extension of WASI preview 1.
package listen

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"unsafe"
)

//go:wasmimport wasi_snapshot_preview1 sock_open
//go:noescape
func sockOpen(family uint32, kind uint32, fd unsafe.Pointer) uint32

//go:wasmimport wasi_snapshot_preview1 sock_bind
//go:noescape
func sockBind(fd uint32, address unsafe.Pointer, port uint32) uint32

//go:wasmimport wasi_snapshot_preview1 sock_listen
func sockListen(fd uint32, backlog uint32) uint32

//go:wasmimport wasi_snapshot_preview1 sock_setsockopt
//go:noescape
func sockSetsockopt(fd uint32, level uint32, name uint32, value unsafe.Pointer, size uint32) uint32

const (
	familyIPv4  = 1
	familyIPv6  = 2
	kindStream  = 2
	levelSocket = 0
	reuseAddr   = 0
	backlog     = 128
)

// Socket is bound to an address and does not listen yet.
type Socket struct {
	fd      uint32
	address netip.AddrPort
}

// sockAddress is WasmEdge's record of 8 bytes; the buffer holds the 4 or 16 raw bytes.
type sockAddress struct {
	buffer, length uint32
}

// Bind reserves address, so that one in use is found before a model is loaded.
func Bind(address netip.AddrPort) (*Socket, error) {
	family := uint32(familyIPv6)
	if address.Addr().Is4() {
		family = familyIPv4
	}
	fd := new(uint32)
	if err := check(address, sockOpen(family, kindStream, unsafe.Pointer(fd))); err != nil {
		return nil, err
	}
	on := new(uint32)
	*on = 1
	sockSetsockopt(*fd, levelSocket, reuseAddr, unsafe.Pointer(on), 4)
	raw := address.Addr().AsSlice()
	var pinned runtime.Pinner
	pinned.Pin(&raw[0])
	defer pinned.Unpin()
	record := &sockAddress{uint32(uintptr(unsafe.Pointer(&raw[0]))), uint32(len(raw))}
	if err := check(address, sockBind(*fd, unsafe.Pointer(record), uint32(address.Port()))); err != nil {
		return nil, err
	}
	return &Socket{*fd, address}, nil
}

// Listen starts to take connections.
func (s *Socket) Listen() (net.Listener, error) {
	if err := check(s.address, sockListen(s.fd, backlog)); err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(int(s.fd), true); err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(s.fd), s.address.String())
	defer file.Close()
	return net.FileListener(file)
}

func check(address netip.AddrPort, errno uint32) error {
	if errno != 0 {
		return fmt.Errorf("cannot listen on %s: %w", address, syscall.Errno(errno))
	}
	return nil
}
