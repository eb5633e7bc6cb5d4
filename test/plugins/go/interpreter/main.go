// interpreter sits on TCP connections that carry lines: it passes whole lines of the client in capitals, introduces what
// comes back, and hangs up on a client that says `quit`.
package main

import (
	"bytes"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/properties"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"

	"outrigger.test/plugins/internal/check"
)

const (
	quit  = "QUIT\n"
	intro = "it says: "
)

func main() {}

func init() {
	proxywasm.SetPluginContext(func(uint32) types.PluginContext { return &plugin{} })
}

type plugin struct {
	types.DefaultPluginContext
	received, sent proxywasm.MetricCounter
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	p.received = proxywasm.DefineCounterMetric("interpreter_received_bytes")
	p.sent = proxywasm.DefineCounterMetric("interpreter_sent_bytes")
	return types.OnPluginStartStatusOK
}

func (p *plugin) NewTcpContext(uint32) types.TcpContext { return &connection{plugin: p} }

type connection struct {
	types.DefaultTcpContext
	plugin *plugin
	client string
	closed string
}

func (c *connection) OnNewConnection() types.Action {
	c.client = check.Must(properties.GetDownstreamRemoteAddress())
	return types.ActionContinue
}

// OnDownstreamData keeps what is no whole line until the rest of it comes.
func (c *connection) OnDownstreamData(size int, endOfStream bool) types.Action {
	if size == 0 {
		return types.ActionContinue
	}
	text := check.Must(proxywasm.GetDownstreamData(0, size))
	if !endOfStream && !bytes.HasSuffix(text, []byte("\n")) {
		return types.ActionPause
	}
	loud := bytes.ToUpper(text)
	if string(loud) == quit {
		check.OK(proxywasm.CloseDownstream())
		return types.ActionPause
	}
	c.plugin.received.Increment(uint64(size))
	check.OK(proxywasm.ReplaceDownstreamData(loud))
	return types.ActionContinue
}

func (c *connection) OnUpstreamData(size int, _ bool) types.Action {
	if size == 0 {
		return types.ActionContinue
	}
	c.plugin.sent.Increment(uint64(size + len(intro)))
	check.OK(proxywasm.PrependUpstreamData([]byte(intro)))
	return types.ActionContinue
}

func (c *connection) OnDownstreamClose(types.PeerType) { c.closed += " down" }

func (c *connection) OnUpstreamClose(types.PeerType) { c.closed += " up" }

func (c *connection) OnStreamDone() { proxywasm.LogInfof("%s is done:%s", c.client, c.closed) }
