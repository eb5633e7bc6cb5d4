/* stumbler does what a plugin should not, as `x-stumble` says. */
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "../c/proxy_wasm.h"

PW_ABI(0_2_1)

namespace museum {

class Visitor {
 public:
  explicit Visitor(std::vector<std::string> rooms) : rooms_(std::move(rooms)) {}

  /* There is no such room, which this library answers by abort. */
  __attribute__((noinline)) size_t look(size_t room) const { return rooms_.at(room).size(); }

  __attribute__((noinline)) void touch() const { __builtin_trap(); }

  __attribute__((noinline)) size_t wander() const {
    volatile size_t steps = 0;
    for (;;) steps = steps + rooms_.size();
    return steps;
  }

  __attribute__((noinline)) void collect() {
    for (;;) rooms_.push_back(std::string(1 << 20, 'x'));
  }

 private:
  std::vector<std::string> rooms_;
};

}  // namespace museum

PW_EXPORT(proxy_on_context_create) void on_context_create(uint32_t, uint32_t) {}

PW_EXPORT(proxy_on_request_headers) int on_request_headers(uint32_t, size_t fields, bool) {
  char *value = nullptr;
  size_t size = 0;
  proxy_get_header_map_value(PW_REQUEST_HEADERS, "x-stumble", 9, &value, &size);
  std::string_view how(value == nullptr ? "" : value, size);
  museum::Visitor visitor({"hall"});
  if (how == "look") visitor.look(fields);
  if (how == "touch") visitor.touch();
  if (how == "wander") visitor.wander();
  if (how == "collect") visitor.collect();
  std::free(value);
  return PW_CONTINUE;
}
