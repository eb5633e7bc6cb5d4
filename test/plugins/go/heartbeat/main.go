// heartbeat asks the upstream `weather` again and again, and tells each response what it heard last.
package main

import (
	"strconv"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"

	"outrigger.test/plugins/internal/check"
)

const periodMs = 50

func main() {}

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &plugin{} })
}

type plugin struct {
	types.DefaultPluginContext
	waits   bool
	answers int
	weather string
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	check.OK(proxywasm.SetTickPeriodMilliSeconds(periodMs))
	return types.OnPluginStartStatusOK
}

func (p *plugin) OnTick() {
	if p.waits {
		return
	}
	question := [][2]string{{":method", "GET"}, {":path", "/now"}, {":authority", "weather"}}
	_, err := proxywasm.DispatchHttpCall("weather", question, nil, nil, 1000, p.heard)
	check.OK(err)
	p.waits = err == nil
}

func (p *plugin) heard(_, bodySize, _ int) {
	p.waits = false
	if bodySize == 0 {
		return
	}
	p.answers++
	p.weather = string(check.Must(proxywasm.GetHttpCallResponseBody(0, bodySize)))
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext { return &stream{plugin: p} }

type stream struct {
	types.DefaultHttpContext
	plugin *plugin
}

func (s *stream) OnHttpResponseHeaders(int, bool) types.Action {
	check.OK(proxywasm.AddHttpResponseHeader("x-weather", s.plugin.weather))
	check.OK(proxywasm.AddHttpResponseHeader("x-heard", strconv.Itoa(s.plugin.answers)))
	return types.ActionContinue
}
