// stumbler does what a plugin should not, as `x-stumble` says.
package main

import (
	"time"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"
)

const chunkBytes = 1 << 20

func main() {}

func init() {
	proxywasm.SetHttpContext(func(uint32) types.HttpContext { return &stream{} })
}

type stream struct {
	types.DefaultHttpContext
}

var hoard [][]byte

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	how, _ := proxywasm.GetHttpRequestHeader("x-stumble")
	switch how {
	case "panic":
		nobody().point++
	case "loop":
		for turns := 0; ; turns++ {
			counted = turns
		}
	case "hoard":
		for len(hoard) < 1024 {
			hoard = append(hoard, make([]byte, chunkBytes))
		}
	case "wait":
		<-make(chan struct{})
	case "sleep":
		time.Sleep(time.Hour)
	case "litter":
		for range 100 {
			litter = make([]byte, 100_000)
		}
	}
	return types.ActionContinue
}

type place struct{ point int }

func nobody() *place { return nil }

var (
	counted int
	litter  []byte
)
