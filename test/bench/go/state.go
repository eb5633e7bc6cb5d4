package main

import (
	"context"
	"log"
	"strings"
	"sync"

	"github.com/redis/go-redis/v9"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	runtimev1 "outrigger.bench/gen/spec/proto/runtime/v1"
)

type entry struct {
	data []byte
	etag string
}

type store interface {
	get(ctx context.Context, key string) (entry, error)
}

// memoryStore holds the one entry that the benchmarks read.
type memoryStore struct {
	mutex   sync.RWMutex
	entries map[string]entry
}

func newMemoryStore() store {
	value := []byte(strings.Repeat("v", 256))
	return &memoryStore{entries: map[string]entry{"bench": {data: value, etag: "1"}}}
}

func (s *memoryStore) get(_ context.Context, key string) (entry, error) {
	s.mutex.RLock()
	defer s.mutex.RUnlock()
	return s.entries[key], nil
}

// redisStore keeps an entry as Dapr does: a hash with the fields data and version.
type redisStore struct{ client *redis.Client }

func newRedisStore(address string) store {
	return &redisStore{client: redis.NewClient(&redis.Options{Addr: address})}
}

func (s *redisStore) get(ctx context.Context, key string) (entry, error) {
	fields, err := s.client.HGetAll(ctx, key).Result()
	if err != nil {
		return entry{}, status.Error(codes.Internal, err.Error())
	}
	return entry{data: []byte(fields["data"]), etag: fields["version"]}, nil
}

type stateServer struct{ store store }

func (s *stateServer) getState(ctx context.Context, in *runtimev1.GetStateRequest) (*runtimev1.GetStateResponse, error) {
	found, err := s.store.get(ctx, in.GetKey())
	if err != nil {
		return nil, err
	}
	return &runtimev1.GetStateResponse{Data: found.data, Etag: found.etag}, nil
}

// getStateHandler is what protoc-gen-go-grpc writes for a unary method.
func getStateHandler(srv any, ctx context.Context, decode func(any) error, interceptor grpc.UnaryServerInterceptor) (any, error) {
	in := new(runtimev1.GetStateRequest)
	if err := decode(in); err != nil {
		return nil, err
	}
	if interceptor == nil {
		return srv.(*stateServer).getState(ctx, in)
	}
	info := &grpc.UnaryServerInfo{Server: srv, FullMethod: "/spec.proto.runtime.v1.Runtime/GetState"}
	handler := func(ctx context.Context, req any) (any, error) {
		return srv.(*stateServer).getState(ctx, req.(*runtimev1.GetStateRequest))
	}
	return interceptor(ctx, in, info, handler)
}

func serveState(store store) {
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{
		ServiceName: "spec.proto.runtime.v1.Runtime",
		HandlerType: (*any)(nil),
		Methods:     []grpc.MethodDesc{{MethodName: "GetState", Handler: getStateHandler}},
	}, &stateServer{store: store})
	untilTerminated(server.Stop)
	if err := server.Serve(listen()); err != nil {
		log.Fatal(err)
	}
}
