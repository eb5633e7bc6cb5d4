import { Action, Filter, register } from "@outrigger/plugin";

/** Changes a header each way, as filters for identity and caching do. */
class HeaderChange extends Filter {
  onRequestHeaders(endOfStream: bool): Action {
    this.request.headers.set("x-tenant", "bench");
    return Action.Continue;
  }

  onResponseHeaders(endOfStream: bool): Action {
    this.response.headers.set("x-served-by", "bench");
    return Action.Continue;
  }
}

register<HeaderChange>();
