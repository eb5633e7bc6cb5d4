// Sends requests of testers to another upstream, by a header that routes match.
import { Action, Filter, log, register, streamState } from "@outrigger/plugin";

class Switchboard extends Filter {
  onRequestHeaders(endOfStream: bool): Action {
    const version = this.request.headers.get("x-try");
    if (version === null) return Action.Continue;
    this.request.headers.set("x-version", version);
    // Without this a filter of a route keeps the destination that the route had.
    const cleared = streamState.clearRouteCache();
    if (!cleared.ok) log.warn(cleared.toString());
    return Action.Continue;
  }
}

register<Switchboard>();
