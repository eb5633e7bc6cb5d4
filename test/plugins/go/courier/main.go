// courier puts what each request asked for into the queue `requests` of the VM `archive`.
package main

import (
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"

	"outrigger.test/plugins/internal/check"
)

func main() {}

func init() {
	proxywasm.SetHttpContext(func(uint32) types.HttpContext { return &stream{} })
}

type stream struct {
	types.DefaultHttpContext
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	queue, err := proxywasm.ResolveSharedQueue("archive", "requests")
	if err != nil {
		check.OK(proxywasm.SendHttpResponse(503, nil, []byte("there is no archive"), -1))
		return types.ActionPause
	}
	path := check.Must(proxywasm.GetHttpRequestHeader(":path"))
	check.OK(proxywasm.EnqueueSharedQueue(queue, []byte(path)))
	return types.ActionContinue
}
