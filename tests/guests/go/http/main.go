// Command http answers each request with its body, on net/http.
//
// Usage: http IPV4:PORT
package main

import (
	"io"
	"log"
	"net/http"
	"net/netip"
	"os"

	"guests/listener"
)

func main() {
	listening, err := listener.Listen(netip.MustParseAddrPort(os.Args[1]))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listening, http.HandlerFunc(func(answer http.ResponseWriter, request *http.Request) {
		io.Copy(answer, request.Body)
	})))
}
