// doorman answers in place of the application, at the point of the exchange that `x-answer-at` names.
package main

import (
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"

	"outrigger.test/plugins/internal/check"
)

const resourceExhausted = 8

func main() {}

func init() {
	proxywasm.SetHttpContext(func(uint32) types.HttpContext { return &stream{} })
}

type stream struct {
	types.DefaultHttpContext
	point string
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	s.point, _ = proxywasm.GetHttpRequestHeader("x-answer-at")
	return s.at("request-headers")
}

func (s *stream) OnHttpRequestBody(int, bool) types.Action { return s.at("request-body") }

func (s *stream) OnHttpResponseHeaders(int, bool) types.Action { return s.at("response-headers") }

func (s *stream) OnHttpResponseBody(int, bool) types.Action { return s.at("response-body") }

func (s *stream) at(point string) types.Action {
	if point != s.point {
		return types.ActionContinue
	}
	s.point = ""
	fields := [][2]string{{"x-door", "closed"}, {"content-type", "text/plain"}}
	check.OK(proxywasm.SendHttpResponse(429, fields, []byte("not now: "+point), resourceExhausted))
	return types.ActionPause
}
