// Runs one case of gRPC's interoperability tests against an address with grpc-go as the client: `interop CASE ADDRESS`.
// A case that fails ends the program with a message, as grpc-go's own functions do.
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/interop"
	testgrpc "google.golang.org/grpc/interop/grpc_testing"
)

type testCase func(ctx context.Context, connection *grpc.ClientConn)

type callCase func(ctx context.Context, client testgrpc.TestServiceClient, options ...grpc.CallOption)

// call makes a case of a function that calls the test service.
func call(run callCase, options ...grpc.CallOption) testCase {
	return func(ctx context.Context, connection *grpc.ClientConn) {
		run(ctx, testgrpc.NewTestServiceClient(connection), options...)
	}
}

var cases = map[string]testCase{
	"empty_unary":                 call(interop.DoEmptyUnaryCall),
	"large_unary":                 call(interop.DoLargeUnaryCall),
	"client_streaming":            call(interop.DoClientStreaming),
	"server_streaming":            call(interop.DoServerStreaming),
	"ping_pong":                   call(interop.DoPingPong),
	"empty_stream":                call(interop.DoEmptyStream),
	"cancel_after_begin":          call(interop.DoCancelAfterBegin),
	"cancel_after_first_response": call(interop.DoCancelAfterFirstResponse),
	"timeout_on_sleeping_server":  call(interop.DoTimeoutOnSleepingServer),
	"custom_metadata":             call(interop.DoCustomMetadata),
	"status_code_and_message":     call(interop.DoStatusCodeAndMessage),
	"special_status_message":      call(interop.DoSpecialStatusMessage),
	"unimplemented_method":        interop.DoUnimplementedMethod,
	"unimplemented_service": func(ctx context.Context, connection *grpc.ClientConn) {
		interop.DoUnimplementedService(ctx, testgrpc.NewUnimplementedServiceClient(connection))
	},
	"large_unary_gzip":      call(interop.DoLargeUnaryCall, grpc.UseCompressor(gzip.Name)),
	"client_streaming_gzip": call(interop.DoClientStreaming, grpc.UseCompressor(gzip.Name)),
	"ping_pong_gzip":        call(interop.DoPingPong, grpc.UseCompressor(gzip.Name)),
}

func main() {
	if len(os.Args) != 3 || cases[os.Args[1]] == nil {
		log.Fatalf("usage: interop CASE ADDRESS; %q is not that", os.Args[1:])
	}
	connection, err := grpc.NewClient(os.Args[2], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	cases[os.Args[1]](ctx, connection)
	if err := connection.Close(); err != nil {
		log.Fatal(err)
	}
	fmt.Println("passed")
}
