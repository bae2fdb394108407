package main

import (
	"context"
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// stopped is why a run ends when a signal asks for it.
type stopped struct{ signal syscall.Signal }

func (s stopped) Error() string { return "stopped by " + s.signal.String() }

// code is the exit code that shells give a program that a signal ends.
func (s stopped) code() int { return 128 + int(s.signal) }

// onSignals returns a context that the first SIGINT, SIGTERM or SIGHUP cancels,
// with a stopped as its cause. told is called then, on a goroutine of its own: a
// terminal may be halted. A SIGINT after that calls exit at once; the others do
// not, because they may come twice where one was meant: timeout(1) sends its
// signal to the program and then to the group that it is in. A signal that is
// ignored, as nohup does, stays ignored. release must be called when there is
// nothing more to stop.
func onSignals(ctx context.Context, told func(), exit func(int)) (_ context.Context, release func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signal.Notify(signals, s)
		}
	}
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var telling sync.WaitGroup
		defer telling.Wait()
		for first := true; ; first = false {
			select {
			case s := <-signals:
				cause := stopped{s.(syscall.Signal)}
				switch {
				case first:
					cancel(cause)
					telling.Go(told)
				case s == os.Interrupt:
					exit(cause.code())
				}
			case <-done:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		<-ended
		cancel(nil)
	}
}
