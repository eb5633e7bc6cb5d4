// bodies changes bodies as a header of the request says: `x-request-body` and `x-response-body` hold an operation and a
// text, such as `append: tail`.
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
	request, response edit
	received          int
}

// edit is an operation on a whole body; without one the body passes as it comes.
type edit struct {
	operation string
	text      []byte
}

func editOf(header string) edit {
	value, err := proxywasm.GetHttpRequestHeader(header)
	if err != nil {
		return edit{}
	}
	operation, text, _ := strings.Cut(value, ": ")
	return edit{operation, []byte(text)}
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	s.request = editOf("x-request-body")
	s.response = editOf("x-response-body")
	if s.request.operation != "" {
		check.OK(proxywasm.RemoveHttpRequestHeader("content-length"))
	}
	return types.ActionContinue
}

func (s *stream) OnHttpRequestBody(size int, endOfStream bool) types.Action {
	if s.request.operation == "" {
		return types.ActionContinue
	}
	if !endOfStream {
		return types.ActionPause
	}
	whole := check.Must(proxywasm.GetHttpRequestBody(0, size))
	switch s.request.operation {
	case "append":
		check.OK(proxywasm.AppendHttpRequestBody(s.request.text))
	case "prepend":
		check.OK(proxywasm.PrependHttpRequestBody(s.request.text))
	case "replace":
		check.OK(proxywasm.ReplaceHttpRequestBody(s.request.text))
	case "shout":
		check.OK(proxywasm.ReplaceHttpRequestBody([]byte(strings.ToUpper(string(whole)))))
	}
	return types.ActionContinue
}

func (s *stream) OnHttpResponseHeaders(int, bool) types.Action {
	if s.response.operation != "" {
		check.OK(proxywasm.RemoveHttpResponseHeader("content-length"))
	}
	return types.ActionContinue
}

func (s *stream) OnHttpResponseBody(size int, endOfStream bool) types.Action {
	if s.response.operation == "" {
		return types.ActionContinue
	}
	if !endOfStream {
		return types.ActionPause
	}
	switch s.response.operation {
	case "append":
		check.OK(proxywasm.AppendHttpResponseBody(s.response.text))
	case "prepend":
		check.OK(proxywasm.PrependHttpResponseBody(s.response.text))
	case "replace":
		check.OK(proxywasm.ReplaceHttpResponseBody(s.response.text))
	case "shout":
		whole := check.Must(proxywasm.GetHttpResponseBody(0, size))
		check.OK(proxywasm.ReplaceHttpResponseBody([]byte(strings.ToUpper(string(whole)))))
	}
	return types.ActionContinue
}
