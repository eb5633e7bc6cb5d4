// The Go side of the benchmarks: what a sidecar in Go does for the same calls, without any of a sidecar's layers.
package main

import (
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: bench state | state-redis ADDRESS | proxy BACKEND | load ADDRESS CALLS IN_FLIGHT")
	}
	command, parameters := os.Args[1], os.Args[2:]
	switch {
	case command == "state" && len(parameters) == 0:
		serveState(newMemoryStore())
	case command == "state-redis" && len(parameters) == 1:
		serveState(newRedisStore(parameters[0]))
	case command == "proxy" && len(parameters) == 1:
		serveProxy(parameters[0])
	case command == "load" && len(parameters) == 3:
		load(parameters[0], atoi(parameters[1]), atoi(parameters[2]))
	default:
		log.Fatalf("no such command: %v", os.Args[1:])
	}
}

// listen binds a free loopback port and announces it once the caller is about to serve.
func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("serves", listener.Addr())
	return listener
}

func untilTerminated(stop func()) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		stop()
	}()
}
