// switchboard sends requests of testers to the version that they test.
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
	if version, err := proxywasm.GetHttpRequestHeader("x-try"); err == nil {
		check.OK(proxywasm.ReplaceHttpRequestHeader(":authority", version+".example"))
	}
	return types.ActionContinue
}
