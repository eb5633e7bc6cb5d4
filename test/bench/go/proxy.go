package main

import (
	"context"
	"fmt"
	"io"
	"log"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// rawMessage is a message that nobody decodes.
type rawMessage struct{ bytes []byte }

// rawCodec passes messages as they are, under the name of the codec that both ends speak.
type rawCodec struct{}

func (rawCodec) Marshal(v any) ([]byte, error) {
	message, ok := v.(*rawMessage)
	if !ok {
		return nil, fmt.Errorf("not a raw message: %T", v)
	}
	return message.bytes, nil
}

func (rawCodec) Unmarshal(data []byte, v any) error {
	message, ok := v.(*rawMessage)
	if !ok {
		return fmt.Errorf("not a raw message: %T", v)
	}
	message.bytes = append([]byte(nil), data...)
	return nil
}

func (rawCodec) Name() string { return "proto" }

var anyStream = &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}

// serveProxy passes every call on to the backend, whatever its service is.
func serveProxy(backend string) {
	var codec encoding.Codec = rawCodec{}
	connection, err := grpc.NewClient("passthrough:///"+backend,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.ForceCodec(codec)))
	if err != nil {
		log.Fatal(err)
	}
	server := grpc.NewServer(grpc.ForceServerCodec(codec),
		grpc.UnknownServiceHandler(func(_ any, incoming grpc.ServerStream) error { return pass(connection, incoming) }))
	untilTerminated(server.Stop)
	if err := server.Serve(listen()); err != nil {
		log.Fatal(err)
	}
}

func pass(connection *grpc.ClientConn, incoming grpc.ServerStream) error {
	method, ok := grpc.MethodFromServerStream(incoming)
	if !ok {
		return status.Error(codes.Internal, "the call has no method")
	}
	fields, _ := metadata.FromIncomingContext(incoming.Context())
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(incoming.Context(), fields.Copy()))
	defer cancel()
	outgoing, err := connection.NewStream(ctx, anyStream, method)
	if err != nil {
		return err
	}
	requests := make(chan error, 1)
	go func() { requests <- passRequests(incoming, outgoing) }()
	responses := make(chan error, 1)
	go func() { responses <- passResponses(outgoing, incoming) }()
	for {
		select {
		case err := <-requests:
			if err != io.EOF {
				return status.Errorf(codes.Internal, "cannot pass the request: %v", err)
			}
			if err := outgoing.CloseSend(); err != nil {
				return err
			}
			requests = nil
		case err := <-responses:
			incoming.SetTrailer(outgoing.Trailer())
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

func passRequests(from grpc.ServerStream, to grpc.ClientStream) error {
	for {
		message := new(rawMessage)
		if err := from.RecvMsg(message); err != nil {
			return err
		}
		if err := to.SendMsg(message); err != nil {
			return err
		}
	}
}

func passResponses(from grpc.ClientStream, to grpc.ServerStream) error {
	for first := true; ; first = false {
		message := new(rawMessage)
		if err := from.RecvMsg(message); err != nil {
			return err
		}
		if first {
			header, err := from.Header()
			if err != nil {
				return err
			}
			if err := to.SendHeader(header); err != nil {
				return err
			}
		}
		if err := to.SendMsg(message); err != nil {
			return err
		}
	}
}
