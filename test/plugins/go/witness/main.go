// witness tells in the response what the host knows of the stream, and leaves a note for the filters after it.
package main

import (
	"os"
	"strconv"
	"time"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/properties"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"

	"outrigger.test/plugins/internal/check"
)

func main() {}

func init() {
	proxywasm.SetVMContext(&machine{})
}

// machine is what all plugins in one VM have in common.
type machine struct {
	types.DefaultVMContext
	court, town string
}

func (m *machine) OnVMStart(size int) types.OnVMStartStatus {
	if size > 0 {
		m.court = string(check.Must(proxywasm.GetVMConfiguration()))
	}
	m.town = os.Getenv("TOWN")
	return types.OnVMStartStatusOK
}

func (m *machine) NewPluginContext(uint32) types.PluginContext { return &plugin{machine: m} }

// plugin has one configuration: what it calls itself.
type plugin struct {
	types.DefaultPluginContext
	machine *machine
	name    string
}

func (p *plugin) OnPluginStart(size int) types.OnPluginStartStatus {
	if size == 0 {
		return types.OnPluginStartStatusOK
	}
	p.name = string(check.Must(proxywasm.GetPluginConfiguration()))
	if p.name == "nobody" {
		proxywasm.LogCritical("a witness needs a name")
		return types.OnPluginStartStatusFailed
	}
	return types.OnPluginStartStatusOK
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext { return &stream{plugin: p} }

type stream struct {
	types.DefaultHttpContext
	plugin   *plugin
	notes    string
	received time.Time
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	seen, _ := proxywasm.GetProperty([]string{"witnesses"})
	s.notes = string(seen)
	check.OK(proxywasm.SetProperty([]string{"witnesses"}, []byte(s.notes+s.plugin.name+";")))
	s.received = check.Must(properties.GetRequestTime())
	return types.ActionContinue
}

func (s *stream) OnHttpResponseHeaders(int, bool) types.Action {
	if s.notes != "" {
		check.OK(proxywasm.AddHttpResponseHeader("x-witnesses-before", s.notes))
		return types.ActionContinue
	}
	for name, value := range map[string]string{
		"court":    s.plugin.machine.court,
		"town":     s.plugin.machine.town,
		"path":     check.Must(properties.GetRequestPath()),
		"url-path": check.Must(properties.GetRequestUrlPath()),
		"query":    check.Must(properties.GetRequestQuery()),
		"host":     check.Must(properties.GetRequestHost()),
		"method":   check.Must(properties.GetRequestMethod()),
		"scheme":   check.Must(properties.GetRequestScheme()),
		"protocol": check.Must(properties.GetRequestProtocol()),
		"agent":    check.Must(properties.GetRequestUserAgent()),
		"id":       check.Must(properties.GetRequestId()),
		"year":     strconv.Itoa(s.received.UTC().Year()),
		"code":     strconv.FormatUint(check.Must(properties.GetResponseCode()), 10),
		"source":   check.Must(properties.GetDownstreamRemoteAddress()),
		"port":     strconv.FormatUint(check.Must(properties.GetDownstreamLocalPort()), 10),
		"upstream": check.Must(properties.GetUpstreamAddress()),
		"plugin":   check.Must(properties.GetPluginName()),
		"cluster":  check.Must(properties.GetClusterName()),
		"node":     check.Must(properties.GetNodeId()),
		"inbound":  strconv.FormatBool(check.Must(properties.GetListenerDirection()) == properties.EnvoyTrafficDirectionInbound),
		"route":    check.Must(properties.GetRouteName()),
		"fields":   check.Must(properties.GetRequestHeaders())["x-given"],
		"tls":      strconv.FormatBool(check.Must(properties.IsDownstreamConnectionTls())),
	} {
		check.OK(proxywasm.AddHttpResponseHeader("x-"+name, value))
	}
	if _, err := proxywasm.GetProperty([]string{"no", "such", "thing"}); err != types.ErrorStatusNotFound {
		proxywasm.LogErrorf("a property that is not there gives %v", err)
	}
	return types.ActionContinue
}

func (s *stream) OnHttpStreamDone() {
	took := time.Duration(check.Must(properties.GetRequestDuration()))
	proxywasm.LogInfof("%s saw %d bytes come and %d go, %s, flags %d, for %v", s.plugin.name,
		check.Must(properties.GetRequestSize()), check.Must(properties.GetResponseSize()),
		check.Must(properties.GetResponseCodeDetails()), check.Must(properties.GetResponseFlags()), took > 0)
}
