// Command soak answers chat requests with the text of their last message, or ends if told to.
//
// Usage: soak IPV4:PORT
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net/http"
	"net/netip"
	"os"
	"time"

	"guests/listener"
)

type request struct {
	Messages []struct{ Content string }
	Stream   bool
	Count    int
	End      string
}

// ends are the ways in which the guest may be told to end.
var ends = map[string]func(){
	"panic": func() { go func() { panic("told to") }() },
	"exit":  func() { os.Exit(3) },
	"loop": func() {
		for {
		}
	},
}

func main() {
	listening, err := listener.Listen(netip.MustParseAddrPort(os.Args[1]))
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listening, http.HandlerFunc(answer)))
}

func answer(to http.ResponseWriter, from *http.Request) {
	var wanted request
	if err := json.NewDecoder(from.Body).Decode(&wanted); err != nil {
		http.Error(to, err.Error(), http.StatusBadRequest)
		return
	}
	if end := ends[wanted.End]; end != nil {
		end()
	}
	text := wanted.Messages[len(wanted.Messages)-1].Content
	if !wanted.Stream {
		to.Header().Set("Content-Type", "application/json")
		json.NewEncoder(to).Encode(map[string]string{"text": text})
		return
	}
	to.Header().Set("Content-Type", "text/event-stream")
	for range wanted.Count {
		fmt.Fprintf(to, "data: {\"text\": %q}\n\n", text)
		to.(http.Flusher).Flush()
		select {
		case <-from.Context().Done():
			return
		case <-time.After(5 * time.Millisecond):
		}
	}
	fmt.Fprint(to, "data: [DONE]\n\n")
}
