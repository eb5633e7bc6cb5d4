// archivist owns the queue `requests`, keeps what comes in it, and answers with all of that.
package main

import (
	"strings"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"

	"outrigger.test/plugins/internal/check"
)

func main() {}

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &plugin{} })
}

type plugin struct {
	types.DefaultPluginContext
	queue uint32
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	p.queue = check.Must(proxywasm.RegisterSharedQueue("requests"))
	return types.OnPluginStartStatusOK
}

func (p *plugin) OnQueueReady(queue uint32) {
	if queue != p.queue {
		proxywasm.LogErrorf("told of queue %d, not of %d", queue, p.queue)
	}
	for {
		item, err := proxywasm.DequeueSharedQueue(queue)
		if err == types.ErrorStatusEmpty {
			return
		}
		if err != nil {
			proxywasm.LogErrorf("the queue cannot be read: %v", err)
			return
		}
		kept, cas, _ := proxywasm.GetSharedData("kept")
		check.OK(proxywasm.SetSharedData("kept", append(append(kept, item...), '\n'), cas))
	}
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext { return &stream{} }

type stream struct {
	types.DefaultHttpContext
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	kept, _, _ := proxywasm.GetSharedData("kept")
	lines := strings.TrimSuffix(string(kept), "\n")
	check.OK(proxywasm.SendHttpResponse(200, nil, []byte(lines), -1))
	return types.ActionPause
}
