/*
 * concierge keeps the guest book of an application: who may enter is asked of the upstream `people`, and how often each has
 * been there is told. Objects of the plugin are made by static constructors, as libraries for C++ plugins do it.
 */
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "../c/proxy_wasm.h"

PW_ABI(0_2_1)

/* What Emscripten imports on its own behalf. */
PW_IMPORT(emscripten_notify_memory_growth) void emscripten_notify_memory_growth(size_t memory);

namespace {

using Pairs = std::vector<std::pair<std::string, std::string>>;

/* Takes over what the host has allocated. */
std::string taken(char *bytes, size_t size) {
  std::string text(bytes == nullptr ? "" : bytes, size);
  std::free(bytes);
  return text;
}

void info(const std::string &text) { proxy_log(PW_INFO, text.data(), text.size()); }

std::string field(int map, std::string_view name) {
  char *value = nullptr;
  size_t size = 0;
  if (proxy_get_header_map_value(map, name.data(), name.size(), &value, &size) != PW_OK) return {};
  return taken(value, size);
}

void set(int map, std::string_view name, std::string_view value) {
  proxy_replace_header_map_value(map, name.data(), name.size(), value.data(), value.size());
}

std::string property(std::initializer_list<std::string_view> path) {
  std::string joined;
  for (auto part : path) joined.append(part).push_back('\0');
  joined.pop_back();
  char *value = nullptr;
  size_t size = 0;
  if (proxy_get_property(joined.data(), joined.size(), &value, &size) != PW_OK) return {};
  return taken(value, size);
}

std::string buffer(int which, size_t size) {
  char *bytes = nullptr;
  size_t length = 0;
  if (proxy_get_buffer_bytes(which, 0, size, &bytes, &length) != PW_OK) return {};
  return taken(bytes, length);
}

/* Fields as the ABI lays them out. */
std::string encoded(const Pairs &pairs) {
  std::string bytes;
  auto number = [&bytes](uint32_t value) { bytes.append(reinterpret_cast<const char *>(&value), sizeof value); };
  number(pairs.size());
  for (const auto &[name, value] : pairs) {
    number(name.size());
    number(value.size());
  }
  for (const auto &[name, value] : pairs) bytes.append(name).append(1, '\0').append(value).append(1, '\0');
  return bytes;
}

Pairs decoded(const std::string &bytes) {
  Pairs pairs;
  if (bytes.size() < 4) return pairs;
  auto number = [&bytes](size_t at) {
    uint32_t value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
  };
  uint32_t count = number(0);
  size_t at = 4 + count * 8;
  for (uint32_t index = 0; index < count; index++) {
    uint32_t name = number(4 + index * 8);
    uint32_t value = number(8 + index * 8);
    pairs.emplace_back(bytes.substr(at, name), bytes.substr(at + name + 1, value));
    at += name + value + 2;
  }
  return pairs;
}

class Stream;

/* What the configuration says, the guest book, and who waits for which answer. */
struct House {
  std::string greeting;
  std::map<std::string, int> visits;
  std::map<uint32_t, Stream *> waiting;
};

class Stream {
 public:
  Stream(uint32_t id, House &house) : id_(id), house_(house) {}

  int requestHeaders() {
    auto token = field(PW_REQUEST_HEADERS, "authorization");
    if (token.empty()) return refuse(401, "who are you?");
    auto question =
        encoded({{":method", "GET"}, {":path", "/whoami"}, {":authority", "people"}, {"authorization", token}});
    std::string_view upstream = "people";
    uint32_t call = 0;
    if (proxy_http_call(upstream.data(), upstream.size(), question.data(), question.size(), nullptr, 0, nullptr, 0, 2000,
                        &call) != PW_OK)
      return refuse(503, "nobody can be asked");
    house_.waiting[call] = this;
    return PW_PAUSE;
  }

  void answered(size_t body) {
    proxy_set_effective_context(id_);
    auto status = field(PW_CALL_RESPONSE_HEADERS, ":status");
    auto name = buffer(PW_CALL_RESPONSE_BODY, body);
    if (status != "200") {
      refuse(403, "we do not know you");
      return;
    }
    visits_ = ++house_.visits[name];
    set(PW_REQUEST_HEADERS, "x-guest", house_.greeting + " " + name);
    proxy_continue_stream(PW_REQUEST_STREAM);
  }

  int responseHeaders() {
    char *bytes = nullptr;
    size_t size = 0;
    proxy_get_header_map_pairs(PW_RESPONSE_HEADERS, &bytes, &size);
    auto pairs = decoded(taken(bytes, size));
    Pairs kept;
    for (auto &pair : pairs)
      if (pair.first.rfind("x-internal-", 0) != 0) kept.push_back(std::move(pair));
    kept.emplace_back("x-visits", std::to_string(visits_));
    kept.emplace_back("x-plugin", property({"plugin_name"}));
    auto text = encoded(kept);
    proxy_set_header_map_pairs(PW_RESPONSE_HEADERS, text.data(), text.size());
    return PW_CONTINUE;
  }

 private:
  int refuse(uint32_t status, std::string_view why) {
    auto fields = encoded({{"www-authenticate", "Bearer"}});
    proxy_send_local_response(status, nullptr, 0, why.data(), why.size(), fields.data(), fields.size(), -1);
    return PW_PAUSE;
  }

  uint32_t id_;
  House &house_;
  int visits_ = 0;
};

using Maker = std::function<std::unique_ptr<Stream>(uint32_t, House &)>;

std::map<std::string, Maker> &makers() {
  static std::map<std::string, Maker> all;
  return all;
}

/* Runs before any callback, for its constructor does. */
struct Registration {
  Registration(const std::string &name, Maker maker) { makers()[name] = std::move(maker); }
} registration("concierge", [](uint32_t id, House &house) { return std::make_unique<Stream>(id, house); });

House house;
std::map<uint32_t, std::unique_ptr<Stream>> streams;

}  // namespace

PW_EXPORT(proxy_on_context_create) void on_context_create(uint32_t context, uint32_t parent) {
  if (parent == 0) return;
  auto maker = makers().find("concierge");
  if (maker == makers().end()) std::abort();
  streams[context] = maker->second(context, house);
}

PW_EXPORT(proxy_on_configure) bool on_configure(uint32_t, size_t size) {
  house.greeting = buffer(PW_PLUGIN_CONFIGURATION, size);
  info("at the door: " + house.greeting);
  emscripten_notify_memory_growth(0);
  return !house.greeting.empty();
}

PW_EXPORT(proxy_on_request_headers) int on_request_headers(uint32_t context, size_t, bool) {
  return streams.at(context)->requestHeaders();
}

PW_EXPORT(proxy_on_http_call_response)
void on_http_call_response(uint32_t, uint32_t call, size_t, size_t body, size_t) {
  auto waiting = house.waiting.extract(call);
  if (!waiting.empty()) waiting.mapped()->answered(body);
}

PW_EXPORT(proxy_on_response_headers) int on_response_headers(uint32_t context, size_t, bool) {
  return streams.at(context)->responseHeaders();
}

PW_EXPORT(proxy_on_delete) void on_delete(uint32_t context) {
  for (auto waiting = house.waiting.begin(); waiting != house.waiting.end();)
    waiting = waiting->second == streams[context].get() ? house.waiting.erase(waiting) : std::next(waiting);
  streams.erase(context);
}
