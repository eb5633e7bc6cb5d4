/* interpreter has an upstream hear capitals, begins what comes back with `it says: `, and hangs up at `quit`. */
#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <set>
#include <string>

#include "../c/proxy_wasm.h"

PW_ABI(0_2_0)

static std::set<uint32_t> introduced;

PW_EXPORT(proxy_on_context_create) void on_context_create(uint32_t, uint32_t) {}

PW_EXPORT(proxy_on_new_connection) int on_new_connection(uint32_t) { return PW_CONTINUE; }

/* Waits for a whole line. */
PW_EXPORT(proxy_on_downstream_data) int on_downstream_data(uint32_t, size_t size, bool) {
  char *bytes = nullptr;
  size_t length = 0;
  if (proxy_get_buffer_bytes(PW_DOWNSTREAM_DATA, 0, size, &bytes, &length) != PW_OK) return PW_CONTINUE;
  std::string data(bytes, length);
  std::free(bytes);
  if (data == "quit\n") {
    proxy_close_stream(PW_DOWNSTREAM);
    return PW_PAUSE;
  }
  if (data.empty() || data.back() != '\n') return PW_PAUSE;
  std::transform(data.begin(), data.end(), data.begin(), [](unsigned char c) { return std::toupper(c); });
  proxy_set_buffer_bytes(PW_DOWNSTREAM_DATA, 0, size, data.data(), data.size());
  return PW_CONTINUE;
}

PW_EXPORT(proxy_on_upstream_data) int on_upstream_data(uint32_t context, size_t size, bool) {
  if (size > 0 && introduced.insert(context).second) proxy_set_buffer_bytes(PW_UPSTREAM_DATA, 0, 0, "it says: ", 9);
  return PW_CONTINUE;
}

PW_EXPORT(proxy_on_delete) void on_delete(uint32_t context) { introduced.erase(context); }
