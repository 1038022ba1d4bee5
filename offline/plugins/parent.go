package main

import (
	"os"
	"syscall"
	"time"
)

const parentCheck = time.Second

// endWithParent interrupts this process when its parent is gone, so that an engine that was killed leaves no plugin
// behind; the SDK's own check of the engine's health runs every five minutes. Calls under way are finished.
func endWithParent() {
	parent := os.Getppid()
	go func() {
		for range time.Tick(parentCheck) {
			if os.Getppid() != parent {
				_ = syscall.Kill(os.Getpid(), syscall.SIGINT)
				return
			}
		}
	}()
}
