// Command echo sends back what each connection sends, one goroutine a connection.
//
// Usage: echo IPV4:PORT
package main

import (
	"io"
	"log"
	"net/netip"
	"os"

	"guests/listener"
)

func main() {
	listening, err := listener.Listen(netip.MustParseAddrPort(os.Args[1]))
	if err != nil {
		log.Fatal(err)
	}
	for {
		connection, err := listening.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer connection.Close()
			io.Copy(connection, connection)
		}()
	}
}
