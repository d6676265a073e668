package server

import "time"

const (
	pollEvery = 20 * time.Millisecond
	pollPause = 50 * time.Microsecond
)

// pace gives the computations turns, one token each, first come first served, and lets the
// network in between. Go on WebAssembly has one thread, which a computing host call blocks, and
// it asks the host for network events only when no goroutine can run. So the goroutine whose
// turn ends sleeps now and then before it passes the turn on, while the others wait for it.
type pace struct {
	turn chan struct{}
	last time.Time // of a sleep; for who has the turn
}

func newPace() *pace { return &pace{turn: make(chan struct{}, 1)} }

// take waits for the turn. What the host is asked in one turn, no other request comes between.
func (p *pace) take() { p.turn <- struct{}{} }

// give passes the turn on.
func (p *pace) give() {
	if time.Since(p.last) >= pollEvery {
		time.Sleep(pollPause)
		p.last = time.Now()
	}
	<-p.turn
}
