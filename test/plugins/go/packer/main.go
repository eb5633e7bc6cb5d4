// packer has the host compress the responses of clients that take them so.
package main

import (
	"strings"

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
	packs bool
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	accepted, _ := proxywasm.GetHttpRequestHeader("accept-encoding")
	s.packs = strings.Contains(accepted, "deflate")
	return types.ActionContinue
}

func (s *stream) OnHttpResponseHeaders(_ int, endOfStream bool) types.Action {
	s.packs = s.packs && !endOfStream
	if s.packs {
		check.OK(proxywasm.RemoveHttpResponseHeader("content-length"))
		check.OK(proxywasm.ReplaceHttpResponseHeader("content-encoding", "deflate"))
	}
	return types.ActionContinue
}

func (s *stream) OnHttpResponseBody(size int, endOfStream bool) types.Action {
	if !s.packs {
		return types.ActionContinue
	}
	if !endOfStream {
		return types.ActionPause
	}
	body := check.Must(proxywasm.GetHttpResponseBody(0, size))
	packed := check.Must(proxywasm.CallForeignFunction("compress", body))
	if again := check.Must(proxywasm.CallForeignFunction("uncompress", packed)); string(again) != string(body) {
		proxywasm.LogError("what was unpacked is not what was packed")
	}
	check.OK(proxywasm.ReplaceHttpResponseBody(packed))
	if _, err := proxywasm.CallForeignFunction("no-such-function", nil); err != types.ErrorStatusNotFound {
		proxywasm.LogErrorf("a function that is not there gives %v", err)
	}
	return types.ActionContinue
}
