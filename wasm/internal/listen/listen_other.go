//go:build !wasip1

package listen

import (
	"net"
	"net/netip"
)

// Socket is an address to listen on.
type Socket struct{ address netip.AddrPort }

// Bind notes the address.
func Bind(address netip.AddrPort) (*Socket, error) { return &Socket{address}, nil }

// Listen starts to take connections.
func (s *Socket) Listen() (net.Listener, error) {
	return net.Listen("tcp", s.address.String())
}
