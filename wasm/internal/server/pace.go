package server

import (
	"sync"
	"time"
)

const (
	pollEvery = 5 * time.Millisecond
	pollPause = 50 * time.Microsecond
)

// pace lets connections in between tokens. Go on WebAssembly has one thread and asks the host
// for network events only when no goroutine can run, so that streams which go on computing
// would starve every other connection. Now and then all of them rest for a moment here.
type pace struct {
	mutex sync.Mutex
	last  time.Time
}

// rest is called by every stream after a token.
func (p *pace) rest() {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if time.Since(p.last) >= pollEvery {
		time.Sleep(pollPause)
		p.last = time.Now()
	}
}
