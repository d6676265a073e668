package server

import (
	"context"
	"sync"
)

// together makes count answers to one prompt at once: the first alone until it has begun, so
// that the others find the prompt computed. It ends with the first error, and the others' work
// with it; a panic of one is the caller's.
func together(ctx context.Context, count int, answer func(ctx context.Context, index int, begun func()) error) error {
	if count == 1 {
		return answer(ctx, 0, func() {})
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	begun := make(chan struct{})
	first := sync.OnceFunc(func() { close(begun) })
	ended := make(chan ending, count)
	run := func(index int, begun func()) {
		var end ending
		defer func() {
			end.panicked = recover()
			ended <- end
		}()
		if end.err = answer(ctx, index, begun); end.err == nil {
			begun()
		}
	}
	go run(0, first)
	running := 1
	var end ending
	select {
	case <-begun:
	case end = <-ended:
		running--
	}
	if !end.failed() {
		for index := 1; index < count; index++ {
			go run(index, func() {})
			running++
		}
	}
	for ; running > 0 && !end.failed(); running-- {
		end = <-ended
	}
	cancel()
	for ; running > 0; running-- {
		<-ended
	}
	if end.panicked != nil {
		panic(end.panicked)
	}
	return end.err
}

type ending struct {
	err      error
	panicked any
}

func (e ending) failed() bool { return e.err != nil || e.panicked != nil }
