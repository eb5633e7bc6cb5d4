package main

import (
	"context"
	"fmt"
	"log"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"

	runtimev1 "outrigger.bench/gen/spec/proto/runtime/v1"
)

const deadline = 5 * time.Second

// load makes calls over one connection, so many of them in flight, each with a deadline and a traceparent of its own.
func load(address string, calls, inFlight int) {
	connection, err := grpc.NewClient("passthrough:///"+address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	request := &runtimev1.GetStateRequest{StoreName: "bench", Key: "bench"}
	var next atomic.Int64
	var wait sync.WaitGroup
	begin := time.Now()
	for range inFlight {
		wait.Go(func() {
			for {
				number := next.Add(1)
				if number > int64(calls) {
					return
				}
				ctx, cancel := context.WithTimeout(context.Background(), deadline)
				ctx = metadata.AppendToOutgoingContext(ctx,
					"traceparent", fmt.Sprintf("00-%032x-%016x-01", begin.UnixNano()+number, number))
				response := new(runtimev1.GetStateResponse)
				err := connection.Invoke(ctx, "/spec.proto.runtime.v1.Runtime/GetState", request, response)
				cancel()
				if err != nil {
					log.Fatal(err)
				}
				if len(response.GetData()) != 256 {
					log.Fatalf("a response has %d bytes of data", len(response.GetData()))
				}
			}
		})
	}
	wait.Wait()
	fmt.Printf("%d calls, %.0f a second\n", calls, float64(calls)/time.Since(begin).Seconds())
}

func atoi(text string) int {
	number, err := strconv.Atoi(text)
	if err != nil {
		log.Fatal(err)
	}
	return number
}
