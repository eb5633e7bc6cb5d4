// waiting-room holds every request and lets the longest waiting one pass at each tick.
package main

import (
	"strconv"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"

	"outrigger.test/plugins/internal/check"
)

const periodMs = 25

func main() {}

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &plugin{} })
}

type plugin struct {
	types.DefaultPluginContext
	waiting []*stream
	passed  int
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	check.OK(proxywasm.SetTickPeriodMilliSeconds(periodMs))
	return types.OnPluginStartStatusOK
}

func (p *plugin) NewHttpContext(id uint32) types.HttpContext { return &stream{plugin: p, id: id} }

func (p *plugin) OnTick() {
	for len(p.waiting) > 0 {
		next := p.waiting[0]
		p.waiting = p.waiting[1:]
		if next.left {
			continue
		}
		p.passed++
		check.OK(proxywasm.SetEffectiveContext(next.id))
		check.OK(proxywasm.AddHttpRequestHeader("x-turn", strconv.Itoa(p.passed)))
		check.OK(proxywasm.ResumeHttpRequest())
		return
	}
}

type stream struct {
	types.DefaultHttpContext
	plugin *plugin
	id     uint32
	left   bool
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	s.plugin.waiting = append(s.plugin.waiting, s)
	return types.ActionPause
}

// OnHttpStreamDone comes early for a client that would not wait.
func (s *stream) OnHttpStreamDone() { s.left = true }
