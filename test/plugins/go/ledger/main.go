// ledger keeps a number in the data that all instances share: each request adds to it, whoever else does.
package main

import (
	"encoding/binary"
	"strconv"

	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"
	"github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm/types"

	"outrigger.test/plugins/internal/check"
)

const (
	key      = "total"
	attempts = 10
)

func main() {}

func init() {
	proxywasm.SetHttpContext(func(uint32) types.HttpContext { return &stream{} })
}

type stream struct {
	types.DefaultHttpContext
	total uint64
}

func (s *stream) OnHttpRequestHeaders(int, bool) types.Action {
	for range attempts {
		total, cas := read()
		// Somebody else may write between the reading and the writing.
		if between, _ := proxywasm.GetHttpRequestHeader("x-between"); between != "" {
			check.OK(write(total+100, cas))
			check.OK(proxywasm.RemoveHttpRequestHeader("x-between"))
		}
		err := write(total+1, cas)
		if err == nil {
			s.total = total + 1
			return types.ActionContinue
		}
		if err != types.ErrorStatusCasMismatch {
			proxywasm.LogErrorf("the total cannot be written: %v", err)
			break
		}
		proxywasm.LogInfo("somebody else was faster")
	}
	check.OK(proxywasm.SendHttpResponse(503, nil, []byte("too many write at once"), -1))
	return types.ActionPause
}

func (s *stream) OnHttpResponseHeaders(int, bool) types.Action {
	check.OK(proxywasm.AddHttpResponseHeader("x-total", strconv.FormatUint(s.total, 10)))
	return types.ActionContinue
}

func read() (uint64, uint32) {
	value, cas, err := proxywasm.GetSharedData(key)
	if err == types.ErrorStatusNotFound {
		return 0, 0
	}
	check.OK(err)
	return binary.LittleEndian.Uint64(value), cas
}

func write(total uint64, cas uint32) error {
	return proxywasm.SetSharedData(key, binary.LittleEndian.AppendUint64(nil, total), cas)
}
