// gatekeeper lets a request pass when the upstream `people` knows its token, and tells the application whose it is.
package main

import (
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"

	"outrigger.test/plugins/internal/check"
)

const (
	upstream  = "people"
	timeoutMs = 2000
)

func main() {}

func init() {
	proxywasm.SetHttpContext(func(uint32) types.HttpContext { return &stream{} })
}

type stream struct {
	types.DefaultHttpContext
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	// What a client claims to be is not to be believed.
	check.OK(proxywasm.RemoveHttpRequestHeader("x-user"))
	token, err := proxywasm.GetHttpRequestHeader("authorization")
	if err != nil {
		return refuse(401, "a token is needed")
	}
	question := [][2]string{
		{":method", "GET"}, {":path", "/whoami"}, {":authority", upstream}, {"authorization", token},
	}
	if _, err := proxywasm.DispatchHttpCall(upstream, question, nil, nil, timeoutMs, s.answered); err != nil {
		proxywasm.LogErrorf("nobody can be asked: %v", err)
		return refuse(503, "nobody can be asked")
	}
	return types.ActionPause
}

func (s *stream) answered(fields, bodySize, _ int) {
	if fields == 0 {
		refuse(503, "nobody answered")
		return
	}
	for _, field := range check.Must(proxywasm.GetHttpCallResponseHeaders()) {
		if field[0] == ":status" && field[1] != "200" {
			refuse(403, "the token is not known")
			return
		}
	}
	user := check.Must(proxywasm.GetHttpCallResponseBody(0, bodySize))
	check.OK(proxywasm.AddHttpRequestHeader("x-user", string(user)))
	check.OK(proxywasm.ResumeHttpRequest())
}

func refuse(status uint32, why string) types.Action {
	fields := [][2]string{{"content-type", "text/plain"}, {"www-authenticate", "Bearer"}}
	check.OK(proxywasm.SendHttpResponse(status, fields, []byte(why), -1))
	return types.ActionPause
}
