// census counts: answers by status, requests that are on their way, and how large the bodies of responses are.
package main

import (
	"strconv"

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
	underway proxywasm.MetricGauge
	sizes    proxywasm.MetricHistogram
	answers  map[string]proxywasm.MetricCounter
}

func (p *plugin) OnPluginStart(int) types.OnPluginStartStatus {
	p.underway = proxywasm.DefineGaugeMetric("census_underway")
	p.sizes = proxywasm.DefineHistogramMetric("census_response_bytes")
	p.answers = map[string]proxywasm.MetricCounter{}
	return types.OnPluginStartStatusOK
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext { return &stream{plugin: p} }

func (p *plugin) answered(status string) proxywasm.MetricCounter {
	counter, known := p.answers[status]
	if !known {
		counter = proxywasm.DefineCounterMetric("census_answers_" + status)
		p.answers[status] = counter
	}
	return counter
}

type stream struct {
	types.DefaultHttpContext
	plugin *plugin
	size   int
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	s.plugin.underway.Add(1)
	return types.ActionContinue
}

func (s *stream) OnHttpResponseHeaders(int, bool) types.Action {
	counter := s.plugin.answered(check.Must(proxywasm.GetHttpResponseHeader(":status")))
	counter.Increment(1)
	check.OK(proxywasm.AddHttpResponseHeader("x-answers", strconv.FormatUint(counter.Value(), 10)))
	check.OK(proxywasm.AddHttpResponseHeader("x-underway", strconv.FormatInt(s.plugin.underway.Value(), 10)))
	return types.ActionContinue
}

func (s *stream) OnHttpResponseBody(size int, _ bool) types.Action {
	s.size += size
	return types.ActionContinue
}

func (s *stream) OnHttpStreamDone() {
	s.plugin.underway.Add(-1)
	s.plugin.sizes.Record(uint64(s.size))
}
