// headers changes the fields of requests and of their responses.
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
	path string
}

func (s *stream) OnHttpRequestHeaders(count int, endOfStream bool) types.Action {
	if fields := check.Must(proxywasm.GetHttpRequestHeaders()); len(fields) != count {
		proxywasm.LogErrorf("of %d fields %d were given", count, len(fields))
	}
	s.path = check.Must(proxywasm.GetHttpRequestHeader(":path"))
	check.OK(proxywasm.ReplaceHttpRequestHeader("x-replaced", "new"))
	check.OK(proxywasm.AddHttpRequestHeader("x-added", "first"))
	check.OK(proxywasm.AddHttpRequestHeader("x-added", "second"))
	check.OK(proxywasm.RemoveHttpRequestHeader("x-removed"))
	if !endOfStream {
		check.OK(proxywasm.AddHttpRequestHeader("x-has-body", "yes"))
	}
	if _, err := proxywasm.GetHttpRequestHeader("x-missing"); err != types.ErrorStatusNotFound {
		proxywasm.LogErrorf("a missing field gives %v", err)
	}
	return types.ActionContinue
}

// OnHttpRequestTrailers is called for requests that have trailers.
func (s *stream) OnHttpRequestTrailers(count int) types.Action {
	check.OK(proxywasm.AddHttpRequestTrailer("x-counted", strings.Repeat("i", count)))
	return types.ActionContinue
}

// OnHttpResponseTrailers sets one of them, and takes one away.
func (s *stream) OnHttpResponseTrailers(int) types.Action {
	sum := check.Must(proxywasm.GetHttpResponseTrailer("x-sum"))
	check.OK(proxywasm.ReplaceHttpResponseTrailer("x-sum", sum+sum))
	check.OK(proxywasm.RemoveHttpResponseTrailer("x-internal-sum"))
	return types.ActionContinue
}

// OnHttpResponseHeaders writes all the fields anew, without those that are nobody's business.
func (s *stream) OnHttpResponseHeaders(int, bool) types.Action {
	kept := [][2]string{}
	for _, field := range check.Must(proxywasm.GetHttpResponseHeaders()) {
		if !strings.HasPrefix(field[0], "x-internal-") {
			kept = append(kept, field)
		}
	}
	check.OK(proxywasm.ReplaceHttpResponseHeaders(append(kept, [2]string{"x-served-by", "headers"})))
	// The request stays readable while its response passes.
	method := check.Must(proxywasm.GetHttpRequestHeader(":method"))
	check.OK(proxywasm.AddHttpResponseHeader("x-answers", method+" "+s.path))
	return types.ActionContinue
}

func (s *stream) OnHttpStreamDone() {
	proxywasm.LogInfof("%s was answered with %s", s.path, check.Must(proxywasm.GetHttpResponseHeader(":status")))
}
