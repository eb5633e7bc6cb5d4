// customs lets bodies of JSON pass that have the fields which its configuration asks for: {"required": ["id"]}.
package main

import (
	"encoding/json"
	"fmt"

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
	configuration struct {
		Required []string `json:"required"`
	}
}

func (p *plugin) OnPluginStart(size int) types.OnPluginStartStatus {
	if size == 0 {
		return types.OnPluginStartStatusOK
	}
	text := check.Must(proxywasm.GetPluginConfiguration())
	if err := json.Unmarshal(text, &p.configuration); err != nil {
		proxywasm.LogCriticalf("the configuration is not understood: %v", err)
		return types.OnPluginStartStatusFailed
	}
	return types.OnPluginStartStatusOK
}

func (p *plugin) NewHttpContext(uint32) types.HttpContext { return &stream{plugin: p} }

type stream struct {
	types.DefaultHttpContext
	plugin *plugin
}

// OnHttpRequestHeaders holds the head until its body has been seen; a request without one is not for this plugin.
func (s *stream) OnHttpRequestHeaders(_ int, endOfStream bool) types.Action {
	if kind, _ := proxywasm.GetHttpRequestHeader("content-type"); !endOfStream && kind != "application/json" {
		return refuse(415, "only application/json is taken")
	}
	return types.ActionContinue
}

func (s *stream) OnHttpRequestBody(size int, endOfStream bool) types.Action {
	if !endOfStream {
		return types.ActionPause
	}
	body, err := proxywasm.GetHttpRequestBody(0, size)
	if err != nil && err != types.ErrorStatusNotFound {
		proxywasm.LogErrorf("the body cannot be read: %v", err)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return refuse(400, fmt.Sprintf("this is no object of JSON: %v", err))
	}
	for _, name := range s.plugin.configuration.Required {
		if _, given := fields[name]; !given {
			return refuse(422, fmt.Sprintf("%q is missing", name))
		}
	}
	return types.ActionContinue
}

func refuse(status uint32, why string) types.Action {
	check.OK(proxywasm.SendHttpResponse(status, [][2]string{{"content-type", "text/plain"}}, []byte(why), -1))
	return types.ActionPause
}
