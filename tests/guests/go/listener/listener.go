// Package listener opens listeners through WasmEdge's socket extension.
package listener

import (
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

// Listen listens on the IPv4 address, which names a port.
func Listen(address netip.AddrPort) (net.Listener, error) {
	fd := new(uint32)
	if errno := sockOpen(1, 2, unsafe.Pointer(fd)); errno != 0 {
		return nil, syscall.Errno(errno)
	}
	raw := address.Addr().AsSlice()
	var pinned runtime.Pinner
	pinned.Pin(&raw[0])
	defer pinned.Unpin()
	record := &[2]uint32{uint32(uintptr(unsafe.Pointer(&raw[0]))), uint32(len(raw))}
	if errno := sockBind(*fd, unsafe.Pointer(record), uint32(address.Port())); errno != 0 {
		return nil, syscall.Errno(errno)
	}
	if errno := sockListen(*fd, 128); errno != 0 {
		return nil, syscall.Errno(errno)
	}
	if err := syscall.SetNonblock(int(*fd), true); err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(*fd), address.String())
	defer file.Close()
	return net.FileListener(file)
}
