// panel asks three experts at the same time and a fourth when it has heard them, and shows the application all answers.
package main

import (
	"strconv"
	"strings"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"

	"outrigger.test/plugins/internal/check"
)

const experts = 3

func main() {}

func init() {
	proxywasm.SetHttpContext(func(uint32) types.HttpContext { return &stream{} })
}

type stream struct {
	types.DefaultHttpContext
	answers [experts]string
	missing int
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	s.missing = experts
	for expert := range experts {
		ask("/expert/"+strconv.Itoa(expert), "", func(answer string) {
			s.answers[expert] = answer
			s.missing--
			if s.missing == 0 {
				ask("/judge", strings.Join(s.answers[:], ","), s.judged)
			}
		})
	}
	return types.ActionPause
}

func (s *stream) judged(verdict string) {
	check.OK(proxywasm.AddHttpRequestHeader("x-verdict", verdict))
	check.OK(proxywasm.ResumeHttpRequest())
}

func ask(path, text string, answered func(string)) {
	question := [][2]string{
		{":method", "POST"}, {":path", path}, {":authority", "experts"}, {"content-type", "text/plain"},
	}
	check.Must(proxywasm.DispatchHttpCall("experts", question, []byte(text), nil, 2000, func(_, size, _ int) {
		answered(string(check.Must(proxywasm.GetHttpCallResponseBody(0, size))))
	}))
}
