// Package check logs what should not happen, for tests to find.
package check

import "github.com/proxy-wasm/proxy-wasm-go-sdk/proxywasm"

// OK logs the error of a hostcall that must not fail.
func OK(err error) {
	if err != nil {
		proxywasm.LogErrorf("a hostcall failed: %v", err)
	}
}

// Must gives the value of a hostcall that must not fail.
func Must[Value any](value Value, err error) Value {
	OK(err)
	return value
}
