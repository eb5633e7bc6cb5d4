// gatekeeper lets a request pass when the upstream `people` knows its token, and tells the application whose it is.
package main

import (
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

const (
	upstream  = "people"
	timeoutMs = 2000
	noGrpc    = -1
)

func main() {}

func init() {
	proxywasm.SetHttpContext(func(uint32) types.HttpContext { return &stream{} })
}

type stream struct {
	types.DefaultHttpContext
}

// OnHttpRequestHeaders asks who it is, and holds the request until that is known.
func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	// What a client says it is, is not to be believed.
	if err := proxywasm.RemoveHttpRequestHeader("x-user"); err != nil {
		return s.refuse(500, err.Error())
	}
	token, err := proxywasm.GetHttpRequestHeader("authorization")
	if err != nil {
		return s.refuse(401, "a token is needed")
	}
	question := [][2]string{
		{":method", "GET"}, {":path", "/whoami"}, {":authority", upstream}, {"authorization", token},
	}
	if _, err := proxywasm.DispatchHttpCall(upstream, question, nil, nil, timeoutMs, s.answered); err != nil {
		proxywasm.LogErrorf("%s cannot be asked: %v", upstream, err)
		return s.refuse(503, "nobody can be asked")
	}
	return types.ActionPause
}

// answered gets no fields at all when the upstream failed or was too late.
func (s *stream) answered(fields, bodySize, _ int) {
	if fields == 0 {
		s.refuse(503, "nobody answered")
		return
	}
	if status() != "200" {
		s.refuse(403, "the token is not known")
		return
	}
	user, err := proxywasm.GetHttpCallResponseBody(0, bodySize)
	if err == nil {
		err = proxywasm.AddHttpRequestHeader("x-user", string(user))
	}
	if err != nil {
		s.refuse(503, err.Error())
		return
	}
	if err := proxywasm.ResumeHttpRequest(); err != nil {
		proxywasm.LogErrorf("the request cannot go on: %v", err)
	}
}

// status is that of the answer which has come.
func status() string {
	fields, _ := proxywasm.GetHttpCallResponseHeaders()
	for _, field := range fields {
		if field[0] == ":status" {
			return field[1]
		}
	}
	return ""
}

func (s *stream) refuse(status uint32, why string) types.Action {
	fields := [][2]string{{"content-type", "text/plain"}, {"www-authenticate", "Bearer"}}
	if err := proxywasm.SendHttpResponse(status, fields, []byte(why), noGrpc); err != nil {
		proxywasm.LogErrorf("the refusal cannot be sent: %v", err)
	}
	return types.ActionPause
}
